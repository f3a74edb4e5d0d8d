import FoundationEssentials
import HTTPSyntax
import Primitives

/// A URL that lets anybody who has it do one thing for a while.
package struct SignedLink: Equatable, Sendable {
    /// The edge that made it; any edge honours it.
    package let edge: EdgeAddress
    /// Path and query.
    package let target: String
    /// When it ends, as the edge wrote it.
    package let expires: String

    package var url: String { "\(self.edge)\(self.target)" }
}

/// What a link is to allow.
package struct LinkRequest: Sendable {
    package enum Scope: String, Sendable {
        case exact
        /// Everything in the folder of that name.
        case prefix
    }

    package var path: RemotePath
    package var scope: Scope
    /// In capitals: `GET`, `PUT`.
    package var methods: [String]
    package var expiresInSeconds: Int64

    /// What edges sign at most: a week.
    package static let expiresRange: ClosedRange<Int64> = 1...604_800
    /// Links asked for in one call.
    package static let mostLinks = 1_000_000

    package init(
        _ path: RemotePath, scope: Scope = .exact, methods: [String] = ["GET"],
        expiresInSeconds: Int64
    ) {
        self.path = path
        self.scope = scope
        self.methods = methods
        self.expiresInSeconds = expiresInSeconds
    }
}

/// The answer to a request for a link: one line of JSON.
private struct LinkAnswer: Decodable {
    let path: String
    let expires: String
}

extension FileClient {
    /// Has an edge make a link. Edges cannot sign links themselves; they ask the cluster.
    package func link(_ wanted: LinkRequest) async throws(FileClientFault) -> SignedLink {
        let isFolder = wanted.scope == .prefix
        var request = EdgeRequest(
            .post, prefix: "/f/",
            isFolder ? wanted.path.with(key: wanted.path.folderPrefix) : wanted.path,
            query: [
                ("expires-in", "\(wanted.expiresInSeconds)"),
                ("methods", wanted.methods.joined(separator: ",")),
                ("scope", wanted.scope.rawValue),
            ])
        // The folder that is a whole bucket ends in a slash like any other.
        if isFolder, wanted.path.isBucket { request.rawPath.append(.slash) }
        let answer = try await self.fetch(request)
        guard let link = Self.decode(answer.body), link.path.utf8.first == .slash else {
            throw .malformedAnswer(subject: wanted.path.description)
        }
        return SignedLink(edge: answer.edge, target: link.path, expires: link.expires)
    }

    /// Links to the objects `path.key` followed by eight digits, from 00000000 on, in order.
    package func links(
        _ wanted: LinkRequest, count: Int
    ) async throws(FileClientFault) -> [SignedLink] {
        var links: [SignedLink] = []
        for start in stride(from: 0, to: count, by: self.options.jobs) {
            let numbers = start..<min(count, start + self.options.jobs)
            let made = await withTaskGroup(
                of: (Int, Result<SignedLink, FileClientFault>).self
            ) { group in
                for number in numbers {
                    var numbered = wanted
                    numbered.path = wanted.path.with(
                        key: wanted.path.key + Self.eightDigits(number))
                    let request = numbered
                    group.addTask { (number, await self.linkResult(request)) }
                }
                var made: [(Int, Result<SignedLink, FileClientFault>)] = []
                for await link in group { made.append(link) }
                return made.sorted { $0.0 < $1.0 }
            }
            for (_, result) in made { links.append(try result.get()) }
        }
        return links
    }

    private func linkResult(_ request: LinkRequest) async -> Result<SignedLink, FileClientFault> {
        do throws(FileClientFault) { return .success(try await self.link(request)) } catch {
            return .failure(error)
        }
    }

    static func eightDigits(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits
    }

    private static func decode(_ body: [UInt8]) -> LinkAnswer? {
        do { return try JSONDecoder().decode(LinkAnswer.self, from: Data(body)) } catch {
            return nil
        }
    }
}
