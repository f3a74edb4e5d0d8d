/// First in, first out, in constant time each.
package struct Fifo<Element: Sendable>: Sendable {
    private var elements: [Element?] = []
    private var head = 0

    package init() {}

    package var count: Int { self.elements.count - self.head }
    package var isEmpty: Bool { self.count == 0 }

    package mutating func append(_ element: Element) { self.elements.append(element) }

    package mutating func popFirst() -> Element? {
        guard self.head < self.elements.count else { return nil }
        let element = self.elements[self.head].take()
        self.head += 1
        if self.head == self.elements.count {
            self.elements.removeAll(keepingCapacity: true)
            self.head = 0
        } else if self.head >= 64, self.head * 2 >= self.elements.count {
            self.elements.removeFirst(self.head)
            self.head = 0
        }
        return element
    }

    package mutating func prependFirst(_ element: Element) {
        if self.head > 0 {
            self.head -= 1
            self.elements[self.head] = element
        } else {
            self.elements.insert(element, at: 0)
        }
    }

    /// Takes out what matches, in time in proportion to the length.
    package mutating func remove(where matches: (Element) -> Bool) -> [Element] {
        var removed: [Element] = []
        var kept: [Element?] = []
        for element in self.elements[self.head...] {
            guard let element else { continue }
            if matches(element) { removed.append(element) } else { kept.append(element) }
        }
        self.elements = kept
        self.head = 0
        return removed
    }
}
