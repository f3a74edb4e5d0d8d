import OrderedStorage
import RocksStore
import Support
import Testing

@Suite struct RocksContractTests {
    @Test(arguments: OrderedStoreContract.Promise.allCases)
    func `RocksDB keeps the promise that`(_ promise: OrderedStoreContract.Promise) throws {
        let directory = try TestDirectory()
        let contract = OrderedStoreContract(
            factory: RocksStoreFactory(), freshDirectory: { directory.fresh() },
            crash: { store, live in
                let left = try directory.crashed(live)
                store.close()
                return left
            })
        try contract.check(promise)
    }
}
