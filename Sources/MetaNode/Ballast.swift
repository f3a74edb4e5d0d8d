import IORuntime
import Primitives

/// A file that holds space and nothing else: what deletes and Raft live on when a disk is full.
/// Every call blocks.
struct Ballast: Sendable {
    let files: any FileSystem
    /// The directory of the metadata.
    let directory: String
    let bytes: UInt64

    private var path: String { self.directory + "/ballast" }

    /// What the file system has free for us.
    func freeBytes() throws(FileFault) -> UInt64 { try self.files.space(self.directory).freeBytes }

    /// Whether it is there whole: its size is given to it last.
    func isWhole() throws(FileFault) -> Bool {
        try self.files.status(self.path)?.sizeBytes == self.bytes && self.bytes > 0
    }

    /// Makes it, or leaves nothing behind.
    func make() throws(FileFault) {
        do throws(FileFault) {
            let file = try self.files.open(self.path, .openOrCreate)
            defer { file.close() }
            try file.preallocate(0..<self.bytes)
            try file.truncate(to: self.bytes)
            try file.sync()
            try self.files.syncDirectory(self.directory)
        } catch {
            try self.release()
            throw error
        }
    }

    /// Gives the space back; fine when there is none.
    func release() throws(FileFault) {
        guard try self.files.status(self.path) != nil else { return }
        try self.files.remove(self.path)
        try self.files.syncDirectory(self.directory)
    }
}

extension DiskSpaceRule {
    /// The rule for a node that starts: gives a ballast of an earlier process back, or makes one,
    /// before anything that needs room is opened. Blocking.
    init(_ settings: DiskSpaceSettings, _ ballast: Ballast) throws(FileFault) {
        let isWhole = try ballast.isWhole()
        // One of another size, or half made, would be space that nobody counts.
        if !isWhole { try ballast.release() }
        self.init(settings, holdsBallast: isWhole)
        if let action = self.measured(freeBytes: try ballast.freeBytes()) {
            self.take(action.carriedOut(on: ballast))
        }
    }

    mutating func take(_ outcome: BallastOutcome) {
        switch outcome {
        case .released: self.ballastReleased()
        case .made: self.ballastMade()
        case .didNotFit: self.ballastDidNotFit()
        case .impossible: self.ballastFailed()
        case .notReleased: break
        }
    }
}

/// What became of an action.
enum BallastOutcome: Equatable, Sendable {
    case released
    case made
    case didNotFit
    case impossible(FileFault)
    /// To be tried again at the next measurement.
    case notReleased(FileFault)
}

extension DiskSpaceRule.Action {
    func carriedOut(on ballast: Ballast) -> BallastOutcome {
        do throws(FileFault) {
            switch self {
            case .makeBallast:
                try ballast.make()
                return .made
            case .releaseBallast:
                try ballast.release()
                return .released
            }
        } catch {
            switch (self, error) {
            case (.makeBallast, .full): return .didNotFit
            case (.makeBallast, _): return .impossible(error)
            case (.releaseBallast, _): return .notReleased(error)
            }
        }
    }
}
