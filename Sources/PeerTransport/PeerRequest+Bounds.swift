extension PeerRequest {
    var bodyBytes: Int { self.body.reduce(0) { $0 + $1.count } }

    /// The fault of a request over the bounds of a call; nil when it is within.
    var tooLarge: CallFault? {
        if self.head.count > PeerLimits.headLimitBytes {
            return .tooLarge(sizeBytes: self.head.count, limitBytes: PeerLimits.headLimitBytes)
        }
        let size = self.bodyBytes
        return size > PeerLimits.bodyLimitBytes
            ? .tooLarge(sizeBytes: size, limitBytes: PeerLimits.bodyLimitBytes) : nil
    }
}
