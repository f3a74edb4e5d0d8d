import Cryptography
import FileClient
import IORuntime
import Primitives
import Settings

/// What the commands of a person's machine have in common.
enum ClientCommand {
    /// The options of all of them, for their help.
    static let optionsHelp = """
          --edges LIST       edges, comma-separated: http://host:port, https://host:port
          --key KEY          access key; the secret comes from HOLDFAST_SECRET or
          --secret-file FILE   the first line of a file
          --ca FILE          authorities that https edges are checked by, in PEM
          --config FILE      settings, one a line: name = value
          --jobs N           how many travel at once (4)
        Options win over HOLDFAST_EDGES, HOLDFAST_KEY, HOLDFAST_SECRET, HOLDFAST_CA and
        HOLDFAST_CONFIG, and these over the file.

        """

    static func parser(
        flags: [String] = [], values: [String] = [], operands: ClosedRange<Int>,
        operandName: String
    ) -> OptionParser {
        OptionParser(
            flags: flags, values: values + ClientSettings.optionNames, operands: operands,
            operandName: operandName)
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
            display.end()
            environment.terminate(
                status: 128 + signal.rawValue, reason: "interrupted; what was done stays done")
        }
        display.begin()
        defer {
            display.end()
            signals.close()
        }
        do throws(FileClientFault) { try await work() } catch { throw .transfer(error) }
    }
}
