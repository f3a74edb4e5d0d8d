import IORuntime
import OrderedStorage
import SimulatedRuntime
import Support
import Synchronization
import Testing

struct SimulatedStoreContractTests {
    @Test(arguments: OrderedStoreContract.Promise.allCases, [UInt64(1), 2, 3])
    func `the simulated store keeps the contract`(
        _ promise: OrderedStoreContract.Promise, seed: UInt64
    ) throws {
        let world = World(seed: seed, nodes: 1)
        let node = world[0]
        let directories = Mutex(0)
        let contract = OrderedStoreContract(
            factory: SimulatedStoreFactory(node),
            freshDirectory: {
                let number = directories.withLock { count in
                    count += 1
                    return count
                }
                return "/stores-\(number)"
            },
            crash: { _, directory in
                // The store's own directory is durable; who made the one above it syncs that.
                try node.environment.files.syncDirectory("/")
                node.powerCut()
                node.restart()
                return directory
            })
        try contract.check(promise)
    }
}
