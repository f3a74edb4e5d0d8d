import Catalog
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives
import Signing

/// Links are withdrawn by who may make them: the owner of the bucket, by a signed request.
extension LinkDoor {
    /// `POST /f/BUCKET/KEY?revoke=link&hf-policy=…&hf-signature=…`: withdraws this link.
    func revokeLink(_ exchange: DoorExchange) async throws(S3Refusal) {
        let requester = try await self.authenticator.authenticate(exchange)
        let link = try await self.authenticLink(exchange)
        let bucket = try await self.ownBucket(of: link.policy.path, requester, exchange)
        let revoked = RevokedLink(
            expirySeconds: link.policy.expirySeconds, number: link.policy.id.rawValue)
        let outcome: ObjectAccess.LinkRevocation
        do throws(AccessFault) {
            outcome = try await self.access.revoke(
                revoked, in: bucket, deadline: exchange.deadline)
        } catch { throw S3Refusal(of: error) }
        self.scopes.forget(bucket)
        guard outcome == .revoked else {
            throw S3Refusal(
                .invalidRequest,
                "Bucket \(bucket) remembers as many revoked links as it may; withdraw all of "
                    + "its links")
        }
        await Self.tell("{\"revoked\":\"\(link.policy.id)\"}\n", exchange)
    }

    /// `POST /f/BUCKET?revoke=all`: withdraws every link into the bucket that was made so far.
    func revokeAllLinks(
        _ rawPath: ArraySlice<UInt8>, _ exchange: DoorExchange
    ) async throws(S3Refusal) {
        let requester = try await self.authenticator.authenticate(exchange)
        guard let path = PercentCoding.decode(rawPath) else { throw S3Refusal(.invalidURI) }
        guard !path.dropLast().contains(UInt8(ascii: "/")) else {
            throw S3Refusal(.invalidArgument, "All links are those of a bucket, not of a key")
        }
        let bucket = try await self.ownBucket(of: .prefix(path), requester, exchange)
        do throws(AccessFault) {
            try await self.access.revokeAllLinks(into: bucket, deadline: exchange.deadline)
        } catch { throw S3Refusal(of: error) }
        self.scopes.forget(bucket)
        await Self.tell("{\"revoked\":\"all\",\"bucket\":\"\(bucket)\"}\n", exchange)
    }

    /// The bucket that a path leads into, once it is known to be the requester's.
    private func ownBucket(
        of path: LinkPath, _ requester: Requester, _ exchange: DoorExchange
    ) async throws(S3Refusal) -> BucketName {
        let name = path.bytes.prefix { $0 != UInt8(ascii: "/") }
        guard let bucket = BucketName(String(decoding: name, as: UTF8.self)) else {
            throw S3Refusal(.invalidBucketName)
        }
        let owner: OwnerID
        do throws(AccessFault) {
            owner = try await self.access.owner(of: bucket, deadline: exchange.deadline)
        } catch { throw S3Refusal(of: error) }
        guard owner == requester.owner else { throw S3Refusal(.accessDenied) }
        return bucket
    }

    /// One line of JSON; none of its values has a character that JSON would have escaped.
    static func tell(_ line: String, _ exchange: DoorExchange) async {
        var fields = exchange.makeFields()
        fields.addChecked("Content-Type", "application/json")
        fields.addChecked("Cache-Control", "no-store")
        await exchange.respond(.ok, fields, body: Array(line.utf8))
    }
}

/// What a `POST /f/…` asks for.
package enum LinkCall: Equatable, Sendable {
    case make
    case revokeLink
    case revokeAll

    package init(rawQuery: ArraySlice<UInt8>?) throws(S3Refusal) {
        let values = QueryParameter.split(rawQuery ?? []).filter {
            PercentCoding.decode($0.name) == Array("revoke".utf8)
        }.map { $0.value.flatMap { PercentCoding.decode($0) } ?? [] }
        switch values.map({ String(decoding: $0, as: UTF8.self) }) {
        case []: self = .make
        case ["link"]: self = .revokeLink
        case ["all"]: self = .revokeAll
        default: throw S3Refusal(.invalidArgument, "revoke is link or all, once")
        }
    }
}
