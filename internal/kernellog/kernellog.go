// Package kernellog reads what the kernel's verifier writes, for comparisons: which
// line says why a program was refused, and what of it depends on the boot.
package kernellog

import (
	"regexp"
	"strings"
)

// noise are lines that say where the verifier is and what it knows there.
var noise = regexp.MustCompile(`^\s*(\d+: |;|from \d+ to|func#\d+ @|processed \d+|verification time|stack depth |` +
	`mark_precise|R\d+(_\w+)?=|frame\d+: |last_idx|first_idx|Live regs|Validating |Func#\d+ \(|caller:|callee:|` +
	`returning from callee:|to caller at|propagating|regs=|parent |magic: |fp-\d+=|$)`)

// passing are lines about a program's own function that are a refusal only where
// nothing else is: the kernel looks whether its BTF says something useful.
var passing = regexp.MustCompile(`^(Global function .* doesn't return scalar|reg type unsupported for arg#\d+|arg#\d+ reference type\()`)

// stats is what the kernel appends to a message that does not end its line.
var stats = regexp.MustCompile(`(verification time \d+ usec|stack depth [\d+]+|processed \d+ insns .*)$`)

// FirstLine is the first line of a log that is about a refusal, "" for none.
func FirstLine(log []string) string {
	fallback := ""
	for _, l := range log {
		if noise.MatchString(l) {
			continue
		}
		l = strings.TrimSpace(stats.ReplaceAllString(l, ""))
		if !passing.MatchString(l) {
			return l
		}
		if fallback == "" {
			fallback = l
		}
	}
	return fallback
}

// Tail is the last n lines of a log before its summary.
func Tail(log []string, n int) []string {
	end := len(log)
	for end > 0 && (strings.HasPrefix(log[end-1], "processed ") || strings.HasPrefix(log[end-1], "stack depth ") ||
		strings.HasPrefix(log[end-1], "verification time ") || strings.TrimSpace(log[end-1]) == "") {
		end--
	}
	return log[max(0, end-n):end]
}

// volatile are the parts of a line that the boot or the loading decides: addresses,
// and the ids of what was loaded.
var volatile = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`0x[0-9a-f]{9,16}`), "0xADDR"},
	{regexp.MustCompile(`\bffff[0-9a-f]{12}\b`), "ADDR"},
	{regexp.MustCompile(`\b(btf_id|type_id|BTF id|btf id|arg btf_id) \d+`), "$1 N"},
	{regexp.MustCompile(`\bbtf_id=\d+`), "btf_id=N"},
	{regexp.MustCompile(`\bfd \d+ is not`), "fd N is not"},
	{regexp.MustCompile(`\s+`), " "},
}

// Normalize takes out of a line what differs from boot to boot.
func Normalize(line string) string {
	for _, v := range volatile {
		line = v.find.ReplaceAllString(line, v.put)
	}
	return strings.TrimSpace(line)
}
