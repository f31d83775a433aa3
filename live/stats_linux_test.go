package live

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStats(t *testing.T) {
	st, err := parseStats("entries  found insert\n00000002  0000000a 00000001\n00000002  00000006 00000000\n")
	if d := cmp.Diff(map[string]uint64{"found": 16, "insert": 1}, st.Counters); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	for _, bad := range []string{"found\n1 2\n", "found\nxyz\n", "found insert\n1\n"} {
		if _, err := parseStats(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if st, err := parseStats(""); err != nil || len(st.Counters) != 0 {
		t.Errorf("nothing: %v, %v", st, err)
	}
}
