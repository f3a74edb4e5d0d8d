import Catalog
import ObjectExchange
import Primitives

/// What the parameters of ListMultipartUploads ask for.
package struct UploadListingRequest: Equatable, Sendable {
    package let prefix: [UInt8]
    package let delimiter: [UInt8]
    package let keyMarker: [UInt8]
    package let uploadMarker: UploadID?
    package let maxUploads: Int
    package let encodesNames: Bool

    package init(_ query: S3Query) throws(S3Refusal) {
        self.prefix = try query.name("prefix") ?? []
        self.delimiter = try query.name("delimiter") ?? []
        self.keyMarker = try query.name("key-marker") ?? []
        self.maxUploads = try query.pageLimit("max-uploads")
        self.encodesNames = try query.encodesNames()
        // Without a key the marker of an upload says nothing (Amazon S3 API Reference).
        let marker = try query.text("upload-id-marker") ?? ""
        if marker.isEmpty || self.keyMarker.isEmpty {
            self.uploadMarker = nil
        } else {
            guard let id = UploadID(text: marker) else {
                throw S3Refusal(.invalidArgument, "Invalid uploadId marker")
            }
            self.uploadMarker = id
        }
    }

    var start: UploadListStart {
        if self.keyMarker.isEmpty { return .beginning }
        if let uploadMarker { return .after(self.keyMarker, uploadMarker) }
        let isPrefix = ListingRequest.isCommonPrefix(
            self.keyMarker, prefix: self.prefix, delimiter: self.delimiter)
        return isPrefix ? .afterPrefix(self.keyMarker) : .afterKey(self.keyMarker)
    }
}
