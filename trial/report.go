package trial

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/btfvalue"
)

// Report is what a plan left behind.
type Report struct {
	Programs []Program `json:"programs"`
	Maps     []Map     `json:"maps,omitempty"`
	Entries  []Entry   `json:"entries"`

	// took is the real time that passed from the first run to the dump, on a side
	// whose clock is not ours.
	took time.Duration
}

// Program is what one program did, and the variables as it left them.
type Program struct {
	Program string           `json:"program"`
	Type    ebpf.ProgramType `json:"-"`
	Runs    []Run            `json:"runs"`
	// Variables are the globals of .data and .bss (and sections named like them),
	// by the order of their names.
	Variables Variables `json:"variables"`
}

// Run is one program on one packet.
type Run struct {
	Retval uint32 `json:"retval"`
	// Packet is the packet afterwards.
	Packet Bytes `json:"packet"`
	// Trace has what the program printed; only bpfct knows it.
	Trace []string `json:"trace,omitempty"`
	// Redirect is the device a redirect leads to, 0 for none; only bpfct knows it.
	Redirect int `json:"redirect,omitempty"`
	// Fault is why the sanitizer stopped the program; the other fields then are as
	// they were at that moment.
	Fault string `json:"fault,omitempty"`

	// Err is the fault as an error: its %+v is the whole report.
	Err error `json:"-"`
	// Time is when the packet was captured.
	Time time.Time `json:"-"`
	// In is the packet before.
	In []byte `json:"-"`
}

// Bytes are hexadecimal in JSON.
type Bytes []byte

// MarshalText is the hexadecimal form.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(b)), nil }

// Variable is a global variable.
type Variable struct {
	Name  string
	Type  btf.Type
	Bytes []byte
}

// Value is the variable decoded by its type.
func (v *Variable) Value() any { return btfvalue.Decode(v.Type, v.Bytes) }

// Variables are in the order of their names; as JSON an object.
type Variables []Variable

// Get returns the variable of that name.
func (vs Variables) Get(name string) (*Variable, bool) {
	for i := range vs {
		if vs[i].Name == name {
			return &vs[i], true
		}
	}
	return nil, false
}

// MarshalJSON is an object: name to decoded value.
func (vs Variables) MarshalJSON() ([]byte, error) {
	out := make(btfvalue.Struct, 0, len(vs))
	for i := range vs {
		out = append(out, btfvalue.Member{Name: vs[i].Name, Value: vs[i].Value()})
	}
	return json.Marshal(out)
}

// Map is a map of the object with its elements by rising key.
type Map struct {
	Name  string
	Type  ebpf.MapType
	Key   btf.Type
	Value btf.Type
	Items []Item
	// Start says that Items are but the start of a very long array.
	Start bool
}

// MarshalJSON decodes keys and values by their types.
func (m Map) MarshalJSON() ([]byte, error) {
	type item struct {
		Key   any `json:"key"`
		Value any `json:"value,omitempty"`
	}
	out := struct {
		Name    string `json:"name"`
		Type    string `json:"type"`
		Entries []item `json:"entries"`
		Start   bool   `json:"start_only,omitempty"`
	}{m.Name, m.Type.String(), []item{}, m.Start}
	for _, it := range m.Items {
		key, value := m.Decode(it)
		out.Entries = append(out.Entries, item{key, value})
	}
	return json.Marshal(out)
}

// Decode is an element's key and value by their types; the value of a per-CPU map
// is a list.
func (m *Map) Decode(it Item) (key, value any) {
	key = btfvalue.Decode(m.Key, it.Key)
	switch {
	case it.PerCPU != nil:
		list := make([]any, len(it.PerCPU))
		for i, b := range it.PerCPU {
			list[i] = btfvalue.Decode(m.Value, b)
		}
		value = list
	case len(it.Value) > 0:
		value = btfvalue.Decode(m.Value, it.Value)
	}
	return key, value
}

// Entry is a connection.
type Entry struct {
	// Netns is the id of the namespace that it is in; nil for that of the packets.
	Netns   *int32   `json:"netns,omitempty"`
	Proto   uint8    `json:"proto"`
	Family  string   `json:"family"`
	Orig    Tuple    `json:"orig"`
	Reply   Tuple    `json:"reply"`
	Status  []string `json:"status"`
	Timeout int      `json:"timeout"` // seconds left
	Mark    uint32   `json:"mark"`
	Zone    uint16   `json:"zone,omitempty"`
	ZoneDir uint8    `json:"zone_dir,omitempty"` // 1 original, 2 reply, 3 both
	Use     int      `json:"use"`
	// Text is the line of conntrack -L -o extended.
	Text string `json:"text"`
}

// in is what stands before the entry's text where it is in another namespace.
func (e *Entry) in() string {
	if e.Netns == nil {
		return ""
	}
	return fmt.Sprintf("netns %d: ", *e.Netns)
}

// at is where the entry is, where that must be said.
func (e *Entry) at() string {
	if e.Netns == nil {
		return ""
	}
	return fmt.Sprintf(" in netns %d", *e.Netns)
}

// Tuple is one direction of a connection.
type Tuple struct {
	Src   string `json:"src"`
	Dst   string `json:"dst"`
	Sport uint16 `json:"sport"`
	Dport uint16 `json:"dport"`
}

// String is "10.0.0.1:1 -> 10.0.0.2:80".
func (t Tuple) String() string {
	return fmt.Sprintf("%s:%d -> %s:%d", t.Src, t.Sport, t.Dst, t.Dport)
}
