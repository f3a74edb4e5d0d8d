import HTTPSyntax

extension FieldBlock {
    /// Adds a field of our own making, or one whose value was checked when it was stored. A value
    /// that cannot stand in a head after all is left out, rather than let it write a head of its
    /// own.
    package mutating func addChecked(_ name: String, _ value: String) {
        do throws(FieldFault) { try self.add(name, value) } catch {
            // Left out, as said.
        }
    }
}
