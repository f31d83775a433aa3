package disasm_test

import (
	"testing"

	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier/disasm"
)

func TestText(t *testing.T) {
	for _, tt := range []struct {
		raw   link.Raw
		imm64 uint64
		call  string
		want  string
	}{
		{raw: link.Raw{Op: 0xbf, Dst: 6, Src: 1}, want: "(bf) r6 = r1"},
		{raw: link.Raw{Op: 0xb4, Dst: 1, Imm: 6}, want: "(b4) w1 = 6"},
		{raw: link.Raw{Op: 0x04, Dst: 0, Imm: -8}, want: "(04) w0 += -8"},
		{raw: link.Raw{Op: 0xbf, Dst: 1, Src: 2, Off: 16}, want: "(bf) r1 = (s16)r2"},
		{raw: link.Raw{Op: 0xbc, Dst: 1, Src: 2, Off: 8}, want: "(bc) w1 = (s8)w2"},
		{raw: link.Raw{Op: 0x3f, Dst: 1, Src: 2, Off: 1}, want: "(3f) r1 s/= r2"},
		{raw: link.Raw{Op: 0x94, Dst: 1, Imm: 7, Off: 1}, want: "(94) w1 s%= 7"},
		{raw: link.Raw{Op: 0xc7, Dst: 3, Imm: 63}, want: "(c7) r3 s>>= 63"},
		{raw: link.Raw{Op: 0x87, Dst: 3}, want: "(87) r3 = -r3"},
		{raw: link.Raw{Op: 0x84, Dst: 3}, want: "(84) w3 = -w3"},
		{raw: link.Raw{Op: 0xdc, Dst: 2, Imm: 16}, want: "(dc) r2 = be16 r2"},
		{raw: link.Raw{Op: 0xd4, Dst: 2, Imm: 64}, want: "(d4) r2 = le64 r2"},
		{raw: link.Raw{Op: 0xd7, Dst: 2, Imm: 32}, want: "(d7) r2 = bswap32 r2"},
		{raw: link.Raw{Op: 0xbf, Dst: 2, Src: 3, Off: 1, Imm: 1}, want: "(bf) r2 = addr_space_cast(r3, 0, 1)"},
		{raw: link.Raw{Op: 0xbf, Dst: 2, Src: 3, Off: -1}, want: "(bf) r2 = &(void __percpu *)(r3)"},
		{raw: link.Raw{Op: 0x61, Dst: 2, Src: 10, Off: -80}, want: "(61) r2 = *(u32 *)(r10 -80)"},
		{raw: link.Raw{Op: 0x91, Dst: 2, Src: 1, Off: 4}, want: "(91) r2 = *(s8 *)(r1 +4)"},
		{raw: link.Raw{Op: 0x63, Dst: 10, Src: 1, Off: -4}, want: "(63) *(u32 *)(r10 -4) = r1"},
		{raw: link.Raw{Op: 0x7a, Dst: 10, Off: -8, Imm: -1}, want: "(7a) *(u64 *)(r10 -8) = -1"},
		{raw: link.Raw{Op: 0xdb, Dst: 1, Src: 2, Imm: 0}, want: "(db) lock *(u64 *)(r1 +0) += r2"},
		{raw: link.Raw{Op: 0xc3, Dst: 1, Src: 2, Imm: 0xa0}, want: "(c3) lock *(u32 *)(r1 +0) ^= r2"},
		{raw: link.Raw{Op: 0xdb, Dst: 1, Src: 2, Imm: 0x41}, want: "(db) r2 = atomic64_fetch_or((u64 *)(r1 +0), r2)"},
		{raw: link.Raw{Op: 0xc3, Dst: 1, Src: 2, Imm: 0xe1}, want: "(c3) r2 = atomic_xchg((u32 *)(r1 +0), r2)"},
		{raw: link.Raw{Op: 0xdb, Dst: 1, Src: 2, Imm: 0xf1}, want: "(db) r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)"},
		{raw: link.Raw{Op: 0xdb, Dst: 1, Src: 2, Imm: 0x100}, want: "(db) r1 = load_acquire((u64 *)(r2 +0))"},
		{raw: link.Raw{Op: 0xd3, Dst: 1, Src: 2, Imm: 0x110}, want: "(d3) store_release((u8 *)(r1 +0), r2)"},
		{raw: link.Raw{Op: 0xdb, Dst: 1, Src: 2, Imm: 0x123}, want: "BUG_db"},
		{raw: link.Raw{Op: 0x20, Imm: 12}, want: "(20) r0 = *(u32 *)skb[12]"},
		{raw: link.Raw{Op: 0x48, Src: 7, Imm: -2}, want: "(48) r0 = *(u16 *)skb[r7 + -2]"},
		{raw: link.Raw{Op: 0x18, Dst: 1}, imm64: 0xffff888100001000, want: "(18) r1 = 0xffff888100001000"},
		{raw: link.Raw{Op: 0x85, Imm: 1}, call: "bpf_map_lookup_elem", want: "(85) call bpf_map_lookup_elem#1"},
		{raw: link.Raw{Op: 0x85, Src: 2, Imm: 63780}, call: "bpf_ct_release", want: "(85) call bpf_ct_release#63780"},
		{raw: link.Raw{Op: 0x85, Imm: 195896080}, want: "(85) call unknown#195896080"},
		{raw: link.Raw{Op: 0x85, Src: 1, Imm: 5}, want: "(85) call pc+5"},
		{raw: link.Raw{Op: 0x05, Off: -3}, want: "(05) goto pc-3"},
		{raw: link.Raw{Op: 0x06, Imm: 70000}, want: "(06) gotol pc+70000"},
		{raw: link.Raw{Op: 0xe5, Off: 2}, want: "(e5) may_goto pc+2"},
		{raw: link.Raw{Op: 0x15, Off: 3}, want: "(15) if r0 == 0x0 goto pc+3"},
		{raw: link.Raw{Op: 0xa6, Dst: 1, Imm: -1, Off: 3}, want: "(a6) if w1 < 0xffffffff goto pc+3"},
		{raw: link.Raw{Op: 0x6d, Dst: 1, Src: 2, Off: 3}, want: "(6d) if r1 s> r2 goto pc+3"},
		{raw: link.Raw{Op: 0x4e, Dst: 1, Src: 2, Off: 3}, want: "(4e) if w1 & w2 goto pc+3"},
		{raw: link.Raw{Op: 0x95}, want: "(95) exit"},
	} {
		if got := disasm.Text(tt.raw, tt.imm64, tt.call); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.raw, got, tt.want)
		}
	}
}

// Any instruction has a text: also one that does not exist.
func FuzzText(f *testing.F) {
	f.Add(uint8(0xdb), uint8(0x21), int16(-8), int32(0xf1), uint64(0), "")
	f.Add(uint8(0x85), uint8(0x20), int16(0), int32(1), uint64(0), "bpf_obj_new_impl")
	f.Fuzz(func(t *testing.T, op, regs uint8, off int16, imm int32, imm64 uint64, call string) {
		raw := link.Raw{Op: op, Dst: regs & 15, Src: regs >> 4, Off: off, Imm: imm}
		text := disasm.Text(raw, imm64, call)
		if text == "" {
			t.Errorf("%+v has no text", raw)
		}
		if again := string(disasm.Append([]byte("x"), raw, imm64, call)); again != "x"+text {
			t.Errorf("Append makes %q, Text %q", again, text)
		}
	})
}

func BenchmarkText(b *testing.B) {
	raw := link.Raw{Op: 0x61, Dst: 2, Src: 10, Off: -80}
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = disasm.Append(buf[:0], raw, 0, "")
	}
}
