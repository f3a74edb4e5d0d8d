import HTTPSyntax
import IORuntime
import Primitives

/// Why something that was asked of the edges was not done.
package enum FileClientFault: Error, Equatable, Sendable {
    /// No edge did it, however often they were asked; `last` is what the last one did wrong, and
    /// `reason` what it said about it.
    case noEdgeAnswered(
        subject: String, edge: EdgeAddress, last: EdgeFailure, reason: EdgeRefusal?, attempts: Int)
    /// An edge has decided against it.
    case refused(EdgeRefusal, subject: String)
    case file(FileFault)
    case notUploadable(path: String, FileKind)
    case noSuchFile(path: String)
    case noUploadPlace(UploadPlan.Refusal)
    /// The file had other bytes or another size when it was sent than when it was looked at.
    case changedWhileSent(path: String)
    /// The edge says that it stored other bytes than were sent.
    case storedDifferently(subject: String, sent: String, stored: String)
    /// The object's bytes arrived otherwise than its checksum says, repeatedly.
    case corrupted(subject: String, expected: String, received: String)
    case noDownloadPlace(subject: String, DownloadName.Refusal)
    /// Below the directory lies a symbolic link, or a file where a folder would have to be.
    case blockedByEntry(path: String, FileKind)
    case nothingThere(RemotePath)
    /// The object got another version, or was removed, while its bytes were on their way.
    case changedWhileRead(RemotePath)
    /// The object has no checksum to hold its bytes against, and one is wanted.
    case uncheckable(RemotePath)
    /// Read back, the file and the object do not have the same bytes.
    case differs(path: String, RemotePath)
    /// Another process writes to the file just now.
    case busy(path: String)
    /// The copy of an object would be that object.
    case copyOntoItself(RemotePath)
    /// A folder cannot be copied to a place inside itself: the copy would have to hold the copy.
    case copyIntoItself(RemotePath, into: RemotePath)
    case keyTooLong(RemotePath)
    /// The answer is not what the protocol says it should be.
    case malformedAnswer(subject: String)
    /// The answer, or the object, has more bytes than were asked for.
    case answerTooLarge(subject: String, limitBytes: Int)
    /// `https://` without certificates to trust.
    case noSecurity(EdgeAddress)
    /// The work was called off.
    case cancelled
    /// A request that cannot be put into HTTP.
    case unsendable(subject: String)
}

/// An answer that means no.
package struct EdgeRefusal: Error, Equatable, Sendable {
    package let status: UInt16
    /// S3's name for the reason; empty when the answer gave none.
    package let code: String
    package let message: String

    package init(status: UInt16, code: String, message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    /// Reads the reason from the body of an answer, where there is one.
    init(status: Status, body: [UInt8]) {
        var code = ""
        var message = ""
        if let error = Self.element(body) {
            code = error.first("Code")?.text ?? ""
            message = error.first("Message")?.text ?? ""
        }
        self.init(status: status.rawValue, code: Self.oneLine(code), message: Self.oneLine(message))
    }

    private static func element(_ body: [UInt8]) -> XMLElement? {
        do throws(XMLElement.Fault) { return try XMLElement.parse(body) } catch { return nil }
    }

    /// What others wrote goes to a terminal: no control characters, and not much of it.
    private static func oneLine(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(300).map { $0.value < 0x20 ? " " : $0 }
        return String(String.UnicodeScalarView(scalars))
    }

    /// What the person can do about it; nil when the reason speaks for itself.
    package var advice: String? {
        switch self.code {
        case "InvalidAccessKeyId": "check the access key (HOLDFAST_KEY)"
        case "SignatureDoesNotMatch": "check the secret (HOLDFAST_SECRET)"
        case "RequestTimeTooSkewed": "set the clock of this machine"
        case "AccessDenied": "this access key has no right to it"
        case "NoSuchBucket": "see holdfast ls for those there are"
        case "BucketNotEmpty": "remove what is in it first, or give --recursive"
        case "" where self.status == 403: "the access key has no right to it, or is wrong"
        default: nil
        }
    }
}

extension FileClientFault: CustomStringConvertible {
    /// One line for a person: what happened, to what, and what to do.
    package var description: String {
        switch self {
        case .noEdgeAnswered(let subject, let edge, let last, let reason, let attempts):
            "\(subject): not done in \(TransferText.counted(attempts, "attempt")); the last edge, "
                + "\(edge), \(last)"
                + (reason.map { ", saying \($0)" } ?? "") + (last.advice.map { "; \($0)" } ?? "")
        case .refused(let refusal, let subject): "\(subject): \(refusal)"
        case .file(let fault): "\(fault.sentence)"
        case .notUploadable(let path, let kind):
            "\(path): is \(kind.noun), and only files and folders are stored"
        case .noSuchFile(let path): "\(path): no such file or folder"
        case .noUploadPlace(let refusal): refusal.sentence
        case .changedWhileSent(let path):
            "\(path): changed while it was sent; put it again when nobody writes to it"
        case .storedDifferently(let subject, let sent, let stored):
            "\(subject): stored with the checksum \(stored), but \(sent) was sent; put it again"
        case .corrupted(let subject, let expected, let received):
            "\(subject): its bytes have the checksum \(received), but \(expected) was announced; "
                + "nothing was kept"
        case .noDownloadPlace(let subject, let refusal):
            "\(subject): not fetched, because its key \(refusal.phrase)"
        case .blockedByEntry(let path, let kind):
            "\(path): is \(kind.noun) and in the way; nothing is written through it"
        case .nothingThere(let path):
            "\(path): there is no such object, and no folder of that name has any; "
                + "holdfast ls \(path.bucket) shows what there is"
        case .changedWhileRead(let path):
            "\(path): changed while it was read; run the command again for what is there now"
        case .uncheckable(let path):
            "\(path): the edge has no checksum to compare its bytes with; without --verify it is "
                + "fetched all the same"
        case .differs(let path, let object):
            "\(path): read back, it is not what \(object) is; run the command again, and look at "
                + "the disk when that does not help"
        case .busy(let path):
            "\(path): another holdfast writes it just now; wait until that one has ended"
        case .copyOntoItself(let path): "\(path): source and destination are the same object"
        case .copyIntoItself(let path, let destination):
            "\(path): a folder cannot be copied into itself (\(destination)); name a place outside"
        case .keyTooLong(let path):
            "\(path): a key has at most \(RemotePath.keyLimitBytes) bytes"
        case .malformedAnswer(let subject):
            "\(subject): the answer is not one of an S3 service; check the address of the edge"
        case .answerTooLarge(let subject, let limitBytes):
            "\(subject): has more than \(limitBytes) bytes"
        case .noSecurity(let edge): "\(edge): no certificates to trust; set HOLDFAST_CA"
        case .cancelled: "called off"
        case .unsendable(let subject): "\(subject): cannot be put into a request"
        }
    }
}

extension EdgeRefusal: CustomStringConvertible {
    package var description: String {
        var text = self.code.isEmpty ? "the edge answered \(self.status)" : self.code
        if !self.message.isEmpty { text += ": \(self.message)" }
        if let advice = self.advice { text += " (\(advice))" }
        return text
    }
}

extension EdgeFailure {
    /// What the person can do about it; nil when there is nothing but to wait.
    fileprivate var advice: String? {
        switch self {
        case .unreachable: "check the addresses (HOLDFAST_EDGES), and that the nodes run"
        case .untrusted: "check the authority (HOLDFAST_CA) and the name in the address"
        case .broken, .timedOut, .overloaded, .failed, .corrupted: nil
        }
    }
}

extension EdgeFailure: CustomStringConvertible {
    /// Goes on from "the edge".
    package var description: String {
        switch self {
        case .unreachable: "cannot be reached"
        case .broken: "broke the connection off"
        case .timedOut: "did not answer in time"
        case .overloaded: "is overloaded"
        case .failed(let status): "failed with status \(status)"
        case .corrupted: "sent wrong bytes"
        case .untrusted(let reason): "is not trusted: \(reason)"
        }
    }
}

extension FileKind {
    fileprivate var noun: String {
        switch self {
        case .file: "a file"
        case .directory: "a folder"
        case .symbolicLink: "a symbolic link"
        case .special: "a device, socket or pipe"
        }
    }
}

extension FileFault {
    fileprivate var sentence: String {
        switch self {
        case .notFound(let path): "\(path): no such file or folder"
        case .exists(let path): "\(path): exists already"
        case .full(let path): "\(path): the disk is full"
        case .system(let call, let path, let errno):
            switch errno {
            case 13, 1: "\(path): permission denied"
            case 21: "\(path): is a folder"
            case 20: "\(path): a file is in the way of a folder"
            default: "\(path): \(call) failed (error \(errno))"
            }
        }
    }
}

extension UploadPlan.Refusal {
    fileprivate var sentence: String {
        switch self {
        case .sameKey(let key, let first, let second):
            "\(first) and \(second) would both become \(key); put them one by one"
        case .keyTooLong(let path, let sizeBytes):
            "\(path): its key would have \(sizeBytes) bytes; \(RemotePath.keyLimitBytes) is the limit"
        case .unusableName(let path): "\(path): its name cannot be a key (it is not UTF-8)"
        }
    }
}

extension DownloadName.Refusal {
    /// Goes on from "its key".
    fileprivate var phrase: String {
        switch self {
        case .outsideFolder: "is not in the folder that was asked for"
        case .emptySegment: "has an empty part between slashes"
        case .dotSegment: "has a part . or .. and would leave the directory"
        case .nulByte: "has a zero byte"
        case .segmentTooLong(let sizeBytes):
            "has a part of \(sizeBytes) bytes; \(DownloadName.segmentLimitBytes) is the limit"
        }
    }
}
