import OrderedStorage
import Support
import Synchronization
import Testing

@Suite struct MemoryStoreTests {
    @Test(arguments: OrderedStoreContract.Promise.allCases)
    func `a memory store keeps the promise that`(_ promise: OrderedStoreContract.Promise) throws {
        let made = MadeDirectories()
        // Every write is durable at once, so a crash is a close.
        let contract = OrderedStoreContract(
            factory: MemoryStoreFactory(), freshDirectory: { made.next() },
            crash: { store, directory in
                store.close()
                return directory
            })
        try contract.check(promise)
    }
}

private final class MadeDirectories: Sendable {
    private let count = Mutex(0)

    func next() -> String {
        self.count.withLock { count in
            count += 1
            return "store-\(count)"
        }
    }
}
