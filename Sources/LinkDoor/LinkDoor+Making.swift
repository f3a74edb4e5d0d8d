import Catalog
import ClusterClient
import HTTPSyntax
import IORuntime
import ObjectAccess
import ObjectExchange
import Primitives
import Signing

/// What `POST /f/BUCKET/KEY?expires-in=SECONDS&methods=GET,PUT&scope=exact` asks for.
package struct LinkWish: Equatable, Sendable {
    /// A link lives for a week at most, like a presigned URL.
    private static let expiresSeconds: ClosedRange<Int64> = 1...604_800

    package let expiresSeconds: Int64
    package let methods: LinkMethods
    package let path: LinkPath
    package let bucket: BucketName

    /// - Parameter rawPath: what stands behind `/f/`.
    package init(
        rawPath: ArraySlice<UInt8>, rawQuery: ArraySlice<UInt8>?
    ) throws(S3Refusal) {
        var values: [String: String] = [:]
        for parameter in QueryParameter.split(rawQuery ?? []) {
            guard let name = Self.text(parameter.name), let value = Self.text(parameter.value ?? [])
            else { throw S3Refusal(.invalidURI) }
            guard values.updateValue(value, forKey: name) == nil else {
                throw S3Refusal(.invalidArgument, "\(name) stands twice")
            }
        }
        guard let seconds = values["expires-in"].flatMap({ Int64($0) }),
            Self.expiresSeconds.contains(seconds)
        else { throw S3Refusal(.invalidArgument, "expires-in takes 1 to 604800 seconds") }
        self.expiresSeconds = seconds
        self.methods = try Self.readMethods(values["methods"] ?? "GET")
        guard let target = LinkTarget(rawPath: rawPath) else {
            throw S3Refusal(.invalidURI, "No link can be made for this path")
        }
        switch values["scope"] ?? "exact" {
        case "exact": self.path = .exact(target.bytes)
        case "prefix": self.path = .prefix(target.bytes)
        default: throw S3Refusal(.invalidArgument, "scope is exact or prefix")
        }
        guard self.path.isSound else {
            throw S3Refusal(
                .invalidArgument, "A link is for a bucket and a key, or a prefix that ends in /")
        }
        let name = target.bytes.prefix { $0 != UInt8(ascii: "/") }
        guard let bucket = BucketName(String(decoding: name, as: UTF8.self)) else {
            throw S3Refusal(.invalidBucketName)
        }
        self.bucket = bucket
    }

    private static func text(_ raw: ArraySlice<UInt8>) -> String? {
        PercentCoding.decode(raw).flatMap { String(validating: $0, as: UTF8.self) }
    }

    private static func readMethods(_ text: String) throws(S3Refusal) -> LinkMethods {
        var methods: LinkMethods = []
        for word in text.split(separator: ",") {
            guard let method = LinkMethods(method: String(word)) else {
                throw S3Refusal(.invalidArgument, "methods takes GET, PUT and DELETE")
            }
            methods.formUnion(method)
        }
        guard !methods.isEmpty else { throw S3Refusal(.invalidArgument, "methods is empty") }
        return methods
    }
}

extension LinkDoor {
    /// Makes a link, for who signs the request with the access key of the bucket's owner.
    func makeLink(
        _ rawPath: ArraySlice<UInt8>, _ exchange: DoorExchange
    ) async throws(S3Refusal) {
        let requester = try await self.authenticator.authenticate(exchange)
        let wish = try LinkWish(rawPath: rawPath, rawQuery: exchange.head.query)
        let bucket: Bucket
        do throws(AccessFault) {
            // As it is now: a link that carries yesterday's epoch would open nothing.
            bucket = try await self.access.bucket(wish.bucket, deadline: exchange.deadline)
        } catch { throw S3Refusal(of: error) }
        guard bucket.owner == requester.owner else { throw S3Refusal(.accessDenied) }

        let now = self.environment.wallClock
        let policy = LinkPolicy(
            id: LinkID(self.environment.randomBytes(8).reduce(0) { $0 << 8 | UInt64($1) }),
            // The meta node signs with the key in force, and writes its number here.
            keyID: LinkKeyID(0), methods: wish.methods, path: wish.path,
            notBeforeSeconds: now.seconds, expirySeconds: now.seconds + wish.expiresSeconds,
            epochs: Self.epochs(of: bucket.links))
        let query = try await self.sign(policy, deadline: exchange.deadline)
        let body = Self.answer(wish.path, query: query, expirySeconds: policy.expirySeconds)
        await Self.tell(body, exchange)
    }

    private func sign(
        _ policy: LinkPolicy, deadline: Instant
    ) async throws(S3Refusal) -> String {
        let answer: SignLinkAnswer
        do throws(ClusterFault) {
            answer = try await self.cluster.signLink(policy, deadline: deadline)
        } catch { throw S3Refusal(of: error) }
        switch answer {
        case .signed(let query): return query
        case .noKey: throw S3Refusal(.serviceUnavailable, cause: "no link key is known yet")
        case .unsound: throw S3Refusal(.invalidArgument, "No link can be made for this")
        }
    }

    /// One line of JSON; none of its values has a character that JSON would have escaped.
    package static func answer(_ path: LinkPath, query: String, expirySeconds: Int64) -> String {
        let name = PercentCoding.encode(path.bytes, keepingSlashes: true)
        let expires = ISOTime.textInSeconds(Timestamp(milliseconds: expirySeconds * 1_000))
        let text = String(decoding: Self.pathPrefix + name, as: UTF8.self)
        return "{\"path\":\"\(text)?\(query)\",\"expires\":\"\(expires)\"}\n"
    }
}
