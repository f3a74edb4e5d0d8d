/// What a person wants of a transfer of many files.
package struct TransferOptions: Sendable {
    /// Which of them.
    package var filter = PathFilter.all
    /// Leaves alone what the other side has with the same content.
    package var skipsSame = false
    /// Reads every file back from where it was brought, and holds it against its checksum.
    package var verifies = false
    /// Each file survives a power cut before the next begins; for files that come.
    package var syncs = false

    package init() {}
}
