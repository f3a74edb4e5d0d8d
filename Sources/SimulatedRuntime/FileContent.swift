import Primitives

/// The bytes of a file: as processes see them, and as the disk will have them after a power cut.
///
/// Pages that were never written, or were given back, are holes. For each page whose durable bytes
/// are not the visible ones, the durable bytes are kept; the changes since the last sync are kept
/// in order, so that a power cut can let any part of them survive.
struct FileContent {
    static let pageBytes = 4096
    /// What a disk writes whole: a torn write changes some sectors and not others.
    static let sectorBytes = 512

    private static let zeroPage = [UInt8](repeating: 0, count: Self.pageBytes)

    private enum Change {
        case write(offset: Int, bytes: [UInt8])
        case punch(Range<Int>)
        case resize(Int)
    }

    private(set) var sizeBytes: UInt64 = 0
    private(set) var allocatedPages = 0

    private var pages: [[UInt8]?] = []
    private var durableSize = 0
    /// The durable bytes of pages that differ; the inner nil is a hole.
    private var durablePages: [Int: [UInt8]?] = [:]
    private var unsynced: [Change] = []

    private(set) var unsyncedBytes = 0
}

// MARK: - What processes see

extension FileContent {
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        let count = max(0, min(buffer.count, Int(self.sizeBytes) - offset))
        var done = 0
        while done < count {
            let (page, start) = (offset + done).quotientAndRemainder(dividingBy: Self.pageBytes)
            let part = min(count - done, Self.pageBytes - start)
            let target = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + part])
            if page < self.pages.count, let bytes = self.pages[page] {
                target.copyBytes(from: bytes[start..<start + part])
            } else {
                for index in target.indices { target[index] = 0 }
            }
            done += part
        }
        return count
    }

    /// As `read`, from the device: pages that the system takes for clean, because a sync of them
    /// failed, are as the disk has them. Those that are dirty are written out first, so they are as
    /// processes see them.
    func readDevice(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        let count = self.read(into: buffer, at: offset)
        let dirty = Set(self.touchedPages())
        for page in self.pageRange(offset..<offset + count) where !dirty.contains(page) {
            guard let durable = self.durablePages[page] else { continue }
            let bytes = durable ?? Self.zeroPage
            let start = page * Self.pageBytes
            for position in max(start, offset)..<min(start + Self.pageBytes, offset + count) {
                buffer[position - offset] = bytes[position - start]
            }
        }
        return count
    }

    /// Pages that a write of the range would have to find room for.
    func newPages(for range: Range<Int>) -> Int {
        self.pageRange(range).count { $0 >= self.pages.count || self.pages[$0] == nil }
    }

    mutating func write(_ bytes: [UInt8], at offset: Int) {
        guard !bytes.isEmpty else { return }
        self.unsynced.append(.write(offset: offset, bytes: bytes))
        self.unsyncedBytes += bytes.count
        self.keepDurable(self.pageRange(offset..<offset + bytes.count))
        self.apply(bytes[...], at: offset)
        self.sizeBytes = max(self.sizeBytes, UInt64(offset + bytes.count))
    }

    mutating func punch(_ wanted: Range<Int>) {
        let range = wanted.clamped(to: 0..<self.pages.count * Self.pageBytes)
        self.unsynced.append(.punch(range))
        self.keepDurable(self.pageRange(range))
        self.applyPunch(range)
    }

    mutating func resize(to size: Int) {
        self.unsynced.append(.resize(size))
        if size < Int(self.sizeBytes) {
            self.keepDurable(self.pageRange(size..<max(size, self.pages.count * Self.pageBytes)))
        }
        self.applyResize(size)
    }

    /// Room is not content: nothing to sync, and nothing to lose.
    mutating func preallocate(_ range: Range<Int>) {
        for page in self.pageRange(range) {
            self.grow(to: page)
            if self.pages[page] == nil { self.set(page, Self.zeroPage) }
        }
    }
}

// MARK: - Syncs and what undoes them

extension FileContent {
    /// Everything visible is durable now.
    mutating func synced() {
        for page in self.touchedPages() { self.durablePages[page] = nil }
        self.durableSize = Int(self.sizeBytes)
        self.unsynced = []
        self.unsyncedBytes = 0
    }

    /// The sync failed: the system takes the pages for clean, whether the disk has them or not, and
    /// a later sync that succeeds writes only what is written anew (the "fsyncgate" of 2018).
    mutating func syncFailed(_ generator: inout SeededGenerator) {
        for page in self.touchedPages() where generator.chance(0.5) {
            self.durablePages[page] = nil
        }
        self.unsynced = []
        self.unsyncedBytes = 0
    }

    /// Leaves what was durable, and of the later changes, by seed: none, all, the first ones, or a
    /// mixture torn at sectors.
    mutating func powerCut(_ generator: inout SeededGenerator) {
        let changes = self.unsynced
        self.restoreDurable()
        enum Survival: CaseIterable { case nothing, everything, prefix, mixture }
        switch Survival.allCases[generator.below(Survival.allCases.count)] {
        case .nothing: break
        case .everything: for change in changes { self.survive(change) }
        case .prefix:
            let count = generator.below(changes.count + 1)
            for change in changes.prefix(count) { self.survive(change) }
        case .mixture:
            for change in changes { self.surviveInPart(change, &generator) }
        }
        self.durableSize = Int(self.sizeBytes)
    }

    private mutating func restoreDurable() {
        for page in self.durablePages.keys.sorted() {
            guard let bytes = self.durablePages[page] else { continue }
            self.grow(to: page)
            self.set(page, bytes)
        }
        self.durablePages = [:]
        self.unsynced = []
        self.unsyncedBytes = 0
        self.sizeBytes = UInt64(self.durableSize)
        self.dropPages(beyond: self.durableSize)
    }

    private mutating func survive(_ change: Change) {
        switch change {
        case .write(let offset, let bytes):
            self.apply(bytes[...], at: offset)
            self.sizeBytes = max(self.sizeBytes, UInt64(offset + bytes.count))
        case .punch(let range): self.applyPunch(range)
        case .resize(let size): self.applyResize(size)
        }
    }

    /// Each sector of a write survives or not; a size change survives whole or not at all.
    private mutating func surviveInPart(_ change: Change, _ generator: inout SeededGenerator) {
        guard case .write(let offset, let bytes) = change else {
            if generator.chance(0.5) { self.survive(change) }
            return
        }
        var start = 0
        while start < bytes.count {
            let sectorEnd = ((offset + start) / Self.sectorBytes + 1) * Self.sectorBytes - offset
            let end = min(bytes.count, sectorEnd)
            if generator.chance(0.5) {
                self.apply(bytes[start..<end], at: offset + start)
                self.sizeBytes = max(self.sizeBytes, UInt64(offset + end))
            }
            start = end
        }
    }

    /// Damages a byte in what the system's cache holds; the disk has it right.
    mutating func flipInCache(_ mask: UInt8, at offset: UInt64) {
        self.keepDurable(self.pageRange(Int(offset)..<Int(offset) + 1))
        let (page, position) = Int(offset).quotientAndRemainder(dividingBy: Self.pageBytes)
        guard var bytes = self.pages[page] else { return }
        bytes[position] ^= mask
        self.set(page, bytes)
    }

    /// Damages a byte in what is visible and in what is durable.
    mutating func flip(_ mask: UInt8, at offset: UInt64) {
        let (page, position) = Int(offset).quotientAndRemainder(dividingBy: Self.pageBytes)
        self.grow(to: page)
        var bytes = self.pages[page] ?? Self.zeroPage
        bytes[position] ^= mask
        self.set(page, bytes)
        if case .some(.some(var durable)) = self.durablePages[page] {
            durable[position] ^= mask
            self.durablePages[page] = .some(durable)
        }
    }
}

// MARK: - Pages

extension FileContent {
    private func pageRange(_ range: Range<Int>) -> Range<Int> {
        guard !range.isEmpty else { return 0..<0 }
        return range.lowerBound / Self.pageBytes..<(range.upperBound - 1) / Self.pageBytes + 1
    }

    private mutating func keepDurable(_ range: Range<Int>) {
        for page in range where self.durablePages[page] == nil {
            self.durablePages[page] = .some(page < self.pages.count ? self.pages[page] : nil)
        }
    }

    /// The pages that changed since the last sync, ascending.
    private func touchedPages() -> [Int] {
        var touched: Set<Int> = []
        for change in self.unsynced {
            switch change {
            case .write(let offset, let bytes):
                touched.formUnion(self.pageRange(offset..<offset + bytes.count))
            case .punch(let range): touched.formUnion(self.pageRange(range))
            case .resize(let size):
                touched.formUnion(self.durablePages.keys.filter { $0 >= size / Self.pageBytes })
            }
        }
        return touched.sorted()
    }

    private mutating func grow(to page: Int) {
        while self.pages.count <= page { self.pages.append(nil) }
    }

    private mutating func set(_ page: Int, _ bytes: [UInt8]?) {
        self.allocatedPages += (bytes == nil ? 0 : 1) - (self.pages[page] == nil ? 0 : 1)
        self.pages[page] = bytes
    }

    private mutating func apply(_ bytes: ArraySlice<UInt8>, at offset: Int) {
        var done = 0
        while done < bytes.count {
            let (page, start) = (offset + done).quotientAndRemainder(dividingBy: Self.pageBytes)
            let part = min(bytes.count - done, Self.pageBytes - start)
            self.grow(to: page)
            // Taken out while it is changed, so that it is changed in place.
            var content = self.pages[page] ?? Self.zeroPage
            self.set(page, nil)
            let from = bytes.startIndex + done
            content.replaceSubrange(start..<start + part, with: bytes[from..<from + part])
            self.set(page, content)
            done += part
        }
    }

    private mutating func applyPunch(_ range: Range<Int>) {
        for page in self.pageRange(range) where page < self.pages.count {
            let start = page * Self.pageBytes
            if range.lowerBound <= start, range.upperBound >= start + Self.pageBytes {
                self.set(page, nil)
            } else if self.pages[page] != nil {
                let part = range.clamped(to: start..<start + Self.pageBytes)
                self.apply([UInt8](repeating: 0, count: part.count)[...], at: part.lowerBound)
            }
        }
    }

    /// Room reserved behind the end goes back, whether the size changes or not (as on ext4).
    private mutating func applyResize(_ size: Int) {
        self.dropPages(beyond: size)
        self.sizeBytes = UInt64(size)
    }

    /// Gives back what lies behind `size`, and zeroes the rest of the last page.
    private mutating func dropPages(beyond size: Int) {
        let end = self.pages.count * Self.pageBytes
        if size < end { self.applyPunch(size..<end) }
    }
}
