import Settings
import Testing

@Suite struct CompletionScriptTests {
    private let script = CompletionScript(
        program: "tool",
        commands: [
            CompletionScript.Command(
                name: "put", summary: "store",
                parser: OptionParser(flags: ["quiet"], values: ["jobs"], lists: ["include"]),
                verbs: []),
            CompletionScript.Command(
                name: "node", summary: "run", parser: OptionParser(), verbs: ["add", "list"]),
        ])

    @Test func `every shell learns the commands, their options and their verbs`() {
        let bash = self.script.text(for: .bash)
        #expect(bash.contains("verbs='put node'"))
        #expect(bash.contains("options='--include --jobs --quiet --help'"))
        #expect(bash.contains("verbs='add list'"))
        let zsh = self.script.text(for: .zsh)
        #expect(zsh.contains("'put:store'"))
        #expect(zsh.contains("'*--jobs:value:_files' '*--quiet' '--help'"))
        #expect(zsh.contains("'1:verb:(add list)'"))
        let fish = self.script.text(for: .fish)
        #expect(fish.contains("-a put -d 'store'"))
        #expect(fish.contains("from put' -l jobs -r\n"))
        #expect(fish.contains("from put' -l quiet\n"))
        #expect(fish.contains("from node' -f -a 'add list'\n"))
    }
}
