import Cryptography
import FileClient
import IORuntime
import Primitives
import Settings

/// What the commands of a person's machine have in common.
enum ClientCommand {
    /// Ends the help of each.
    static let optionsHelp = """
          --jobs N           files, or parts of large files, that travel at once (4)
        Which edges, and which key: holdfast help connection

        """

    static let filterOptions = ["include", "exclude"]

    static func parser(
        flags: [String] = [], values: [String] = [], lists: [String] = [],
        operands: ClosedRange<Int>, operandName: String
    ) -> OptionParser {
        OptionParser(
            flags: flags, values: values + ClientSettings.optionNames, lists: lists,
            operands: operands, operandName: operandName)
    }

    /// What `--include` and `--exclude` say, in the order of the words.
    static func filter(_ options: ParsedOptions) throws(CommandFault) -> PathFilter {
        var rules: [PathFilter.Rule] = []
        for (name, value) in options.repeated {
            do throws(PathPattern.Fault) {
                rules.append(
                    PathFilter.Rule(try PathPattern(value), includes: name == "include"))
            } catch {
                throw .usage("--\(name): \(error) (see holdfast help patterns)")
            }
        }
        return PathFilter(rules)
    }

    /// A client as the command line, the environment and the settings file describe it.
    static func client(
        _ options: ParsedOptions, _ environment: RealEnvironment
    ) async throws(CommandFault) -> FileClient {
        let settings: ClientSettings
        do throws(SettingsFault) {
            let files = environment.files
            settings = try await environment.blocking(.disk) { () throws(SettingsFault) in
                try ClientSettings(options, variables: ProgramEnvironment.variables, files: files)
            }
        } catch {
            throw .settings(error)
        }
        return FileClient(
            environment, loop: environment.loops[0], options: settings.options,
            security: try Self.security(settings))
    }

    private static func security(
        _ settings: ClientSettings
    ) throws(CommandFault) -> (any ChannelSecurity)? {
        guard settings.options.edges.contains(where: \.isSecure) else { return nil }
        do throws(CertificateFault) {
            return try TLSChannelSecurity.doors(
                trust: settings.authorities.map { .authorities($0) } ?? .system)
        } catch {
            throw .failed("HOLDFAST_CA: \(Self.sentence(error))")
        }
    }

    private static func sentence(_ fault: CertificateFault) -> String {
        switch fault {
        case .unreadable(_, let reason): "the file holds no certificate in PEM (\(reason))"
        case .notAnAuthority: "the certificate is not that of an authority"
        case .keyMismatch: "the key is not the certificate's"
        case .badName(let name): "\(name) is not the name of a host"
        case .openSSL(let call, let reason): "\(call) failed: \(reason)"
        }
    }

    static func path(_ text: String) throws(CommandFault) -> RemotePath {
        guard let path = RemotePath(text) else {
            throw .usage(
                "\(text) is not of the form BUCKET or BUCKET/KEY, and a bucket's name has 3 "
                    + "characters or more")
        }
        return path
    }

    /// An object, not a whole bucket.
    static func object(_ text: String) throws(CommandFault) -> RemotePath {
        let path = try Self.path(text)
        guard !path.isBucket else { throw .usage("\(text) is a bucket; BUCKET/KEY is wanted") }
        return path
    }

    /// Runs a transfer with its progress on display, and ends the program when it is told to end in the meantime,
    /// without leaving temporary files behind.
    static func running(
        _ client: FileClient, _ environment: RealEnvironment, _ display: ProgressDisplay,
        _ work: () async throws(FileClientFault) -> Void
    ) async throws(CommandFault) {
        let signals: SignalStream
        do throws(StreamFault) {
            signals = try await environment.catchSignals([.interrupt, .terminate])
        } catch {
            throw .failed("signals cannot be caught: \(error)")
        }
        environment.loops[0].spawn {
            guard let signal = await signals.next() else { return }
            await client.removePartialFiles()
            display.end(saysStanding: false)
            environment.terminate(
                status: 128 + signal.rawValue,
                reason: "interrupted; \(display.standing ?? "what was done stays done")")
        }
        display.begin()
        defer {
            display.end()
            signals.close()
        }
        do throws(FileClientFault) { try await work() } catch { throw .transfer(error) }
        display.sayWhetherIdle()
    }
}
