import Settings
import Testing

@Suite struct OptionParserTests {
    private let parser = OptionParser(
        flags: ["quiet", "recursive"], values: ["jobs", "edges"], operands: 1...2,
        operandName: "BUCKET")

    @Test(arguments: [
        ["--jobs", "4", "--quiet", "box"], ["box", "--quiet", "--jobs=4"],
        ["--quiet", "box", "--jobs", "4"],
    ])
    func `options may stand anywhere and be written two ways`(words: [String]) throws {
        let parsed = try self.parser.parse(words)
        #expect(parsed.value("jobs") == "4")
        #expect(parsed.flag("quiet"))
        #expect(!parsed.flag("recursive"))
        #expect(parsed.value("edges") == nil)
        #expect(parsed.operands == ["box"])
    }

    @Test func `two dashes end the options`() throws {
        let parsed = try self.parser.parse(["--quiet", "--", "--jobs", "-h"])
        #expect(parsed.operands == ["--jobs", "-h"])
        #expect(!parsed.isGiven("jobs"))
    }

    @Test func `a value may be empty, hold an equals sign or begin with one dash`() throws {
        #expect(try self.parser.parse(["--edges=", "b"]).value("edges") == "")
        #expect(try self.parser.parse(["--edges=a=b", "b"]).value("edges") == "a=b")
        #expect(try self.parser.parse(["--edges", "-1", "b"]).value("edges") == "-1")
        #expect(try self.parser.parse(["-"]).operands == ["-"])
    }

    @Test(arguments: [
        (["--nosuch", "b"], OptionFault.unknown("--nosuch", nearest: nil)),
        (["--job", "1", "b"], .unknown("--job", nearest: "--jobs")),
        (["--quite", "b"], .unknown("--quite", nearest: "--quiet")),
        (["-q", "b"], .unknown("-q", nearest: nil)),
        (["--quiet", "--quiet", "b"], .repeated("--quiet")),
        (["--jobs", "1", "--jobs=1", "b"], .repeated("--jobs")),
        (["b", "--jobs"], .missingValue("--jobs")),
        (["--jobs", "--quiet", "b"], .missingValue("--jobs")),
        (["--quiet=yes", "b"], .unexpectedValue("--quiet")),
        (["--quiet"], .missingOperand("BUCKET")), ([], .missingOperand("BUCKET")),
        (["a", "b", "c"], .unexpectedOperand("c")),
        (["a", "--help", "b", "c"], .helpWanted), (["-h"], .helpWanted),
    ])
    func `what is wrong is said`(words: [String], fault: OptionFault) {
        #expect(throws: fault) { try self.parser.parse(words) }
    }

    @Test func `options that may come again keep the order of the words`() throws {
        let parser = OptionParser(flags: ["quiet"], lists: ["in", "out"])
        let parsed = try parser.parse(["--in", "a", "--out=b", "--quiet", "--in", "--c"])
        #expect(parsed.repeated.map(\.name) == ["in", "out", "in"])
        #expect(parsed.repeated.map(\.value) == ["a", "b", "--c"])
        #expect(parsed.isGiven("out"))
        #expect(throws: OptionFault.missingValue("--in")) { try parser.parse(["--in"]) }
    }

    @Test func `a message names the option`() {
        #expect(
            OptionFault.unknown("--job", nearest: "--jobs").description
                == "unknown option --job; did you mean --jobs?")
        #expect(OptionFault.repeated("--jobs").description == "--jobs is given twice")
    }
}
