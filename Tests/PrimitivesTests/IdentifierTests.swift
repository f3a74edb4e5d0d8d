import Primitives
import Testing

@Suite struct IdentifierTests {
    /// Slots and partitions are computed from these: another value would be another cluster.
    @Test func `the stable hash is this for ever`() {
        #expect(StableHash.of([]) == 0xefd0_1f60_ba99_2926)
        #expect(StableHash.of("bucket".utf8) == 0x2a17_1d9e_6773_df28)
        #expect(StableHash.mix(0) == 0)
        #expect(StableHash.mix(1) == 0xb456_bcfc_34c2_cb2c)
        #expect(Slot(hashing: "bucket".utf8).rawValue == 0x2a17)
    }

    /// xoshiro256** and SplitMix64, computed apart from this code.
    @Test func `a seed gives these numbers for ever`() {
        var generator = SeededGenerator(seed: 0)
        #expect(
            (0..<3).map { _ in generator.next() } == [
                0x99ec_5f36_cb75_f2b4,
                0xbf6e_1f78_4956_452a,
                0x1a5f_849d_4933_e6e0,
            ])
        generator = SeededGenerator(seed: 42)
        #expect(
            (0..<3).map { _ in generator.next() } == [
                0x1578_0b2e_0c2e_c716,
                0x6104_d986_6d11_3a7e,
                0xae17_5332_39e4_99a1,
            ])
    }

    @Test func `a chunk falls in this partition for ever`() {
        #expect(
            (0..<4).map { ChunkName(incarnation: 1, counter: $0).partition().rawValue }
                == [32110, 4589, 24932, 55494])
    }

    @Test func `the chunks of a few edges spread over the partitions like random numbers`() {
        let bits = 8
        var chunks = [Int](repeating: 0, count: 1 << bits)
        for incarnation: UInt64 in 1...16 {
            for counter: UInt64 in 0..<4_096 {
                let name = ChunkName(incarnation: incarnation, counter: counter)
                chunks[Int(name.partition(partitionBits: bits).rawValue)] += 1
            }
        }
        // 65,536 balls in 256 bins: mean 256, standard deviation 16. Chi-squared with 255 degrees
        // of freedom lies below 350 but for one time in 30,000.
        let chiSquared = chunks.reduce(0.0) { $0 + Double(($1 - 256) * ($1 - 256)) / 256 }
        #expect(chiSquared < 350)
        #expect(chiSquared > 170, "suspiciously even for a hash")
    }

    @Test func `a partition is the first bits of one with more bits`() {
        for counter: UInt64 in 0..<1_000 {
            let name = ChunkName(incarnation: 77, counter: counter)
            let fine = name.partition(partitionBits: 20).rawValue
            #expect(name.partition(partitionBits: 16).rawValue == fine >> 4)
            #expect(name.partition(partitionBits: 1).rawValue == fine >> 19)
        }
    }

    @Test func `chunk names are ordered by incarnation, then counter`() {
        let names = [(1, 9), (2, 0), (2, 1)].map {
            ChunkName(incarnation: $0.0, counter: $0.1)
        }
        #expect(names.reversed().sorted() == names)
        #expect(ChunkName(incarnation: 255, counter: 16).description == "ff-10")
    }

    @Test func `a cluster's name is 16 bytes and reads back from its text`() {
        let bytes = Array(0..<16) as [UInt8]
        let cluster = ClusterID(bytes: bytes)
        #expect(cluster?.description == "000102030405060708090a0b0c0d0e0f")
        #expect(ClusterID("000102030405060708090a0b0c0d0e0f") == cluster)
        #expect(ClusterID("000102030405060708090a0b0c0d0e") == nil)
        #expect(ClusterID(bytes: []) == nil)
    }
}
