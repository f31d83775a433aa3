//go:build linux

package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/kernel"
)

// wanted are the enumerators that programs and their runtime use.
var wanted = regexp.MustCompile(`^(BPF_|__BPF|XDP_|TCX?_|NF_|NFPROTO_|NFCT|IPS_|IP_CT_|TCP_CONNTRACK|UDP_CT|SCTP_CONNTRACK|SK_|TCP_|IPPROTO_|PKT_|NETDEV|CSUM_|SKB_|NAPI|RTN_|RT_SCOPE|BTF_)`)

// scan walks the whole BTF once: constants by name, helper numbers by name,
// and the functions tagged as kfuncs.
func scan(spec *btf.Spec) (consts map[string]int64, funcIDs map[string]int32, kfuncs []*btf.Func, err error) {
	consts = make(map[string]int64)
	funcIDs = make(map[string]int32)
	for t, err := range spec.All() {
		if err != nil {
			return nil, nil, nil, err
		}
		switch t := t.(type) {
		case *btf.Enum:
			for _, v := range t.Values {
				if wanted.MatchString(v.Name) {
					consts[v.Name] = int64(v.Value)
					if t.Signed && t.Size == 4 {
						consts[v.Name] = int64(int32(v.Value))
					}
				}
				if name, ok := strings.CutPrefix(v.Name, "BPF_FUNC_"); ok && t.Name == "bpf_func_id" && v.Value != 0 {
					funcIDs["bpf_"+name] = int32(v.Value)
				}
			}
		case *btf.Func:
			if slices.Contains(t.Tags, "bpf_kfunc") {
				kfuncs = append(kfuncs, t)
			}
		}
	}
	slices.SortFunc(kfuncs, func(a, b *btf.Func) int { return strings.Compare(a.Name, b.Name) })
	return consts, funcIDs, kfuncs, nil
}

var helperDef = regexp.MustCompile(`(?m)^static (.*?)\(\* ?(?:const )?(bpf_\w+)\)\((.*)\) = \(void \*\) (\d+);`)

// readHelpers reads libbpf's declarations. A helper that the kernel has and
// libbpf's header lacks is an error: its arguments would be guesses.
func readHelpers(file string, ids map[string]int32) ([]*kernel.Prototype, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]*kernel.Prototype)
	for _, m := range helperDef.FindAllStringSubmatch(string(text), -1) {
		p := &kernel.Prototype{Name: m[2], Since: helperSince[m[2]], Args: []kernel.Arg{}}
		p.Return.C = strings.TrimSpace(m[1])
		p.Return.Type = kernel.RetInteger
		for i, arg := range strings.Split(m[3], ",") {
			arg = strings.TrimSpace(arg)
			if arg == "void" || arg == "" {
				continue
			}
			if arg == "..." {
				// bpf_trace_printk takes up to three values after its format.
				for n := i; n < 5; n++ {
					p.Args = append(p.Args, kernel.Arg{Name: fmt.Sprintf("arg%d", n-1), C: "__u64", Type: kernel.ArgAnything})
				}
				continue
			}
			cut := strings.LastIndexAny(arg, " *") + 1
			a := kernel.Arg{Name: arg[cut:], C: strings.TrimSpace(arg[:cut]), Type: kernel.ArgAnything}
			if strings.Contains(arg, "callback") && strings.Contains(arg, "(*") {
				a.Name, a.C = "callback_fn", "void *"
			}
			p.Args = append(p.Args, a)
		}
		byName[p.Name] = p
	}
	var out []*kernel.Prototype
	for name, id := range ids {
		p := byName[name]
		if p == nil {
			return nil, fmt.Errorf("%s does not declare %s", file, name)
		}
		p.ID = id
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *kernel.Prototype) int { return int(a.ID - b.ID) })
	return out, nil
}
