#ifndef HOLDFAST_CSIMULATION_H
#define HOLDFAST_CSIMULATION_H

#include <stdint.h>

// Names the calling thread: no two living threads have the same number.
uintptr_t holdfast_simulation_thread(void);

// Says whether the calling thread now runs a simulation, and from then on counts the jobs that the
// thread hands to an executor of the process: the global pool, a delayed queue, the main actor.
void holdfast_simulation_enter(void);
void holdfast_simulation_leave(void);

// How many jobs the calling thread has handed away since it last entered.
uint64_t holdfast_simulation_escaped_jobs(void);

#endif
