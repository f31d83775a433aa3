package explain

import (
	"fmt"
	"strings"
)

// Page is the documentation of a class in Markdown. source is the smallest C program
// that provokes it and example what that program's Explanation is, as text; both may
// be empty.
func (c *Class) Page(source, example string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", c.Name)
	fmt.Fprintf(&b, "%s.\n\n%s\n", upper(plain(c.What)), c.Why)
	b.WriteString("\n## What the kernel says\n\n")
	for _, m := range c.Messages {
		fmt.Fprintf(&b, "    %s\n", verbName.ReplaceAllString(m, ""))
	}
	names := make([]string, len(c.Errnos))
	for i, no := range c.Errnos {
		names[i] = no.Name()
	}
	fmt.Fprintf(&b, "\n`BPF_PROG_LOAD` fails with %s.\n", strings.Join(names, " or "))
	b.WriteString("\n## What usually mends it\n\n")
	for _, h := range c.Help {
		fmt.Fprintf(&b, "- %s\n", plain(h))
	}
	if source != "" {
		fmt.Fprintf(&b, "\n## The smallest program\n\n```c\n%s```\n", source)
	}
	if example != "" {
		fmt.Fprintf(&b, "\n`bpfct verify` says:\n\n```\n%s```\n", example)
	}
	return b.String()
}

// Index is the list of all pages in Markdown.
func Index() string {
	var b strings.Builder
	b.WriteString("# Why a program is refused\n\n")
	b.WriteString("One page for each class of error that `bpfct verify` explains, with the kernel's messages, the smallest program\n")
	b.WriteString("that provokes it, and what usually mends it. The pages are made from the catalogue in `verifier/explain`:\n")
	b.WriteString("`go test ./verifier/explain -update`.\n\n| class | what is wrong |\n|---|---|\n")
	for _, c := range Classes() {
		fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", c.Name, c.Name, plain(c.What))
	}
	return b.String()
}

// plain is a template without a message.
func plain(template string) string {
	return placeholder.ReplaceAllStringFunc(template, func(m string) string {
		name, otherwise, has := strings.Cut(m[1:len(m)-1], "|")
		if has {
			return otherwise
		}
		switch name {
		case "have", "want", "type":
			return "one " + map[string]string{"have": "type or size", "want": "another", "type": "kind"}[name]
		}
		return "N"
	})
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
