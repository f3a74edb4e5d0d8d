#include "CSimulation.h"

#include <pthread.h>
#include <stddef.h>

// The hooks of the Swift runtime (swift/Runtime/Concurrency.h). A hook gets what the call got, and
// the original to pass it on to. They take Swift's calling convention, which Swift cannot spell.
#define SWIFT_CC __attribute__((swiftcall))

typedef SWIFT_CC void (*enqueue_original)(void *job);
typedef SWIFT_CC void (*enqueue_hook)(void *job, enqueue_original original);
typedef SWIFT_CC void (*delay_original)(uint64_t delay, void *job);
typedef SWIFT_CC void (*delay_hook)(uint64_t delay, void *job, delay_original original);
typedef SWIFT_CC void (*deadline_original)(
    long long seconds, long long nanoseconds, long long tolerance_seconds,
    long long tolerance_nanoseconds, int clock, void *job);
typedef SWIFT_CC void (*deadline_hook)(
    long long seconds, long long nanoseconds, long long tolerance_seconds,
    long long tolerance_nanoseconds, int clock, void *job, deadline_original original);

extern enqueue_hook swift_task_enqueueGlobal_hook;
extern enqueue_hook swift_task_enqueueMainExecutor_hook;
extern delay_hook swift_task_enqueueGlobalWithDelay_hook;
extern deadline_hook swift_task_enqueueGlobalWithDeadline_hook;

static _Thread_local int depth;
static _Thread_local uint64_t escaped;

static void count(void) {
    if (depth > 0) escaped += 1;
}

SWIFT_CC static void count_global(void *job, enqueue_original original) {
    count();
    original(job);
}

SWIFT_CC static void count_main(void *job, enqueue_original original) {
    count();
    original(job);
}

SWIFT_CC static void count_delay(uint64_t delay, void *job, delay_original original) {
    count();
    original(delay, job);
}

SWIFT_CC static void count_deadline(
    long long seconds, long long nanoseconds, long long tolerance_seconds,
    long long tolerance_nanoseconds, int clock, void *job, deadline_original original) {
    count();
    original(seconds, nanoseconds, tolerance_seconds, tolerance_nanoseconds, clock, job);
}

static void install(void) {
    // Who has a hook already keeps it: that process looks after its own jobs.
    if (swift_task_enqueueGlobal_hook == NULL) swift_task_enqueueGlobal_hook = count_global;
    if (swift_task_enqueueMainExecutor_hook == NULL)
        swift_task_enqueueMainExecutor_hook = count_main;
    if (swift_task_enqueueGlobalWithDelay_hook == NULL)
        swift_task_enqueueGlobalWithDelay_hook = count_delay;
    if (swift_task_enqueueGlobalWithDeadline_hook == NULL)
        swift_task_enqueueGlobalWithDeadline_hook = count_deadline;
}

uintptr_t holdfast_simulation_thread(void) { return (uintptr_t)&depth; }

void holdfast_simulation_enter(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    escaped = 0;
    depth += 1;
}

void holdfast_simulation_leave(void) { depth -= 1; }

uint64_t holdfast_simulation_escaped_jobs(void) { return escaped; }
