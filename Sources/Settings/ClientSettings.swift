import FileClient
import IORuntime
import Primitives
import Telemetry

/// What the commands of a person's machine are told, checked once.
///
/// The secret comes from the environment, from the settings file, or from a file of its own, never
/// from the command line, where every user of the machine could read it.
package struct ClientSettings: Sendable {
    package let options: FileClientOptions
    /// Certificates of the authorities that sign the edges' certificates, in PEM; nil for the
    /// system's.
    package let authorities: String?

    /// The options that every client command has, besides its own.
    package static let optionNames = [
        "config", "edges", "key", "secret-file", "ca", "jobs", "part-mib",
    ]
    /// What may stand in a settings file.
    package static let fileNames = [
        "edges", "key", "secret", "secret-file", "ca", "admin", "jobs", "part-mib",
    ]

    /// For certificates and secrets.
    private static let sideFileLimitBytes = 1 << 20

    /// Reads files through `files`, which may block.
    package init(
        _ options: ParsedOptions, variables: [String: String], files: any FileSystem
    ) throws(SettingsFault) {
        let sources = try Self.sources(options, variables: variables, files: files)
        var checked = FileClientOptions(
            edges: try Self.edges(sources), accessKey: try sources.require("key").value,
            secret: try Self.secret(sources, files))
        guard !checked.accessKey.isEmpty, checked.accessKey.utf8.allSatisfy({ (0x21...0x7e) ~= $0 })
        else {
            throw .malformed("key", value: checked.accessKey, wanted: "an access key")
        }
        if let jobs = try sources.number("jobs", in: FileClientOptions.jobsRange) {
            checked.jobs = jobs
        }
        if let mebibytes = try sources.number("part-mib", in: Self.partMebibytesRange) {
            checked.partBytes = UInt64(mebibytes) << 20
        }
        checked.stateDirectory = Self.stateDirectory(variables)
        self.options = checked
        self.authorities = try sources.find("ca").map { found throws(SettingsFault) in
            String(decoding: try Self.contents(found, files), as: UTF8.self)
        }
    }

    private static let partMebibytesRange =
        Int(
            PartPlan.partBytesRange.lowerBound >> 20)...Int(
            PartPlan.partBytesRange.upperBound >> 20)

    /// Where programs keep what should outlive them but matters to nobody else (XDG Base Directory
    /// Specification); nil for a person without a home.
    private static func stateDirectory(_ variables: [String: String]) -> String? {
        // A relative path is to be ignored, says the specification.
        if let state = variables["XDG_STATE_HOME"], state.hasPrefix("/") {
            return state + "/holdfast"
        }
        guard let home = variables["HOME"], home.hasPrefix("/") else { return nil }
        return home + "/.local/state/holdfast"
    }

    /// The admin ports of the nodes, for `status`, which needs no key.
    package static func adminAddresses(
        _ options: ParsedOptions, variables: [String: String], files: any FileSystem
    ) throws(SettingsFault) -> [SocketAddress] {
        let sources = try Self.sources(options, variables: variables, files: files)
        let found = try sources.require("admin")
        var addresses: [SocketAddress] = []
        for item in SettingSources.list(found.value) {
            guard let address = EdgeAddress(item), !address.isSecure else {
                throw .malformed(found.origin, value: item, wanted: "an address host:port")
            }
            addresses.append(address.address)
        }
        return addresses
    }

    private static func sources(
        _ options: ParsedOptions, variables: [String: String], files: any FileSystem
    ) throws(SettingsFault) -> SettingSources {
        let withoutFile = SettingSources(options: options, variables: variables)
        guard let found = withoutFile.find("config") else { return withoutFile }
        let bytes = try Self.contents(found, files)
        do throws(SettingsFile.Fault) {
            let file = try SettingsFile(bytes, path: found.value, known: Self.fileNames)
            return SettingSources(options: options, variables: variables, file: file)
        } catch {
            throw .file(error, path: found.value)
        }
    }

    private static func edges(_ sources: SettingSources) throws(SettingsFault) -> [EdgeAddress] {
        let found = try sources.require("edges")
        var edges: [EdgeAddress] = []
        for item in SettingSources.list(found.value) {
            guard let edge = EdgeAddress(item) else {
                throw .malformed(
                    found.origin, value: item,
                    wanted: "an edge: http://host:port, https://host:port or host:port")
            }
            if !edges.contains(edge) { edges.append(edge) }
        }
        guard edges.count <= FileClientOptions.mostEdges else {
            throw .malformed(
                found.origin, value: "a list of \(edges.count)",
                wanted: "a list of at most \(FileClientOptions.mostEdges) edges")
        }
        return edges
    }

    private static func secret(
        _ sources: SettingSources, _ files: any FileSystem
    ) throws(SettingsFault) -> Redacted<String> {
        let secret = sources.find("secret")
        if let file = sources.find("secret-file"), file.strength >= secret?.strength ?? .file {
            let text = String(decoding: try Self.contents(file, files), as: UTF8.self)
            let line = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
            guard !line.isEmpty else {
                throw .malformed(file.origin, value: file.value, wanted: "a file with a secret")
            }
            return Redacted(line)
        }
        guard let secret else {
            throw .missing(
                "secret", option: false, variable: SettingSources.variable(for: "secret"))
        }
        return Redacted(secret.value)
    }

    private static func contents(
        _ found: SettingSources.Found, _ files: any FileSystem
    ) throws(SettingsFault) -> [UInt8] {
        do throws(FileFault) {
            return try files.contents(of: found.value, limit: Self.sideFileLimitBytes)
        } catch {
            throw .unreadable(found.origin, path: found.value)
        }
    }
}
