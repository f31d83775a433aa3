package pkt_test

import (
	"testing"

	"pgregory.net/rapid"
)

func TestKernelView(t *testing.T) {
	const object = "testdata/kern.o"
	opts, ns := network(t)
	k, m := newKernel(t, object, opts), newMachine(t, object, ns)
	t.Run("skb", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			r := run{data: frame(rt), ctx: skbCtx(rt)}
			compare(rt, r, k.run(t, "cast_skb", r), m.run(t, "cast_skb", r))
		})
	})
	t.Run("xdp", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			r := run{data: frame(rt)}
			if rapid.Bool().Draw(rt, "jumbo") {
				r.data = append(r.data, make([]byte, 5000)...)
			}
			r.ctx = xdpCtx(rt, len(r.data))
			compare(rt, r, k.run(t, "cast_xdp", r), m.run(t, "cast_xdp", r))
		})
	})
}
