package replay

import (
	"bufio"
	"encoding/json"
	"io"
	"time"

	"github.com/bpfct/bpfct/conntrack"
)

// JSON is a [Sink] that writes an object a line: packets, each with a member packet,
// events (event), connections at the end (entry) and what was counted (summary).
func JSON(w io.Writer, show Show) Sink {
	b := bufio.NewWriterSize(w, 1<<15)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return &jsonLines{b, e, show}
}

type jsonLines struct {
	w    *bufio.Writer
	e    *json.Encoder
	show Show
}

type (
	jsonReason struct {
		Name    string    `json:"name"`
		Numbers [3]uint32 `json:"numbers"`
		Text    string    `json:"text"`
	}
	jsonReturn struct {
		Program string   `json:"program"`
		Value   uint32   `json:"value"`
		Verdict string   `json:"verdict,omitempty"`
		Trace   []string `json:"trace,omitempty"`
		Stopped string   `json:"stopped,omitempty"`
	}
	jsonRecord struct {
		Packet    int          `json:"packet"`
		Time      *time.Time   `json:"time,omitempty"`
		Since     float64      `json:"since"`
		Backwards float64      `json:"backwards,omitempty"`
		Text      string       `json:"text"`
		Fate      string       `json:"fate"`
		State     string       `json:"state,omitempty"`
		Dir       string       `json:"dir,omitempty"`
		Conn      *uint32      `json:"conn,omitempty"`
		Reason    *jsonReason  `json:"reason,omitempty"`
		Fault     string       `json:"fault,omitempty"`
		Returns   []jsonReturn `json:"returns,omitempty"`
		Whole     string       `json:"whole,omitempty"`
		Out       []string     `json:"out,omitempty"`
		Explain   *Explanation `json:"explain,omitempty"`
	}
	jsonEvent struct {
		Event   string             `json:"event"`
		Changes uint16             `json:"changes"`
		Conn    conntrack.Snapshot `json:"conn"`
	}
	jsonEntry struct {
		Entry conntrack.Snapshot `json:"entry"`
	}
	jsonProblem struct {
		Count int `json:"count"`
		First int `json:"first"`
	}
	jsonSummary struct {
		Packets   int            `json:"packets"`
		Fates     map[string]int `json:"fates"`
		States    map[string]int `json:"states"`
		Reasons   map[string]int `json:"reasons"`
		Began     int            `json:"began"`
		Ended     int            `json:"ended"`
		Alive     int            `json:"alive"`
		Broken    *jsonProblem   `json:"wrong_headers,omitempty"`
		Backwards *jsonProblem   `json:"stamps_backwards,omitempty"`
		Stopped   *jsonProblem   `json:"stopped_programs,omitempty"`
	}
)

func (j *jsonLines) Packet(r *Record) error {
	if j.show.entries() {
		if err := j.events(r.Expired); err != nil {
			return err
		}
	}
	if j.show.packet(r.Number) {
		if err := j.e.Encode(r.json()); err != nil {
			return err
		}
	}
	if j.show.entries() {
		return j.events(r.Events)
	}
	return nil
}

func (r *Record) json() *jsonRecord {
	o := &jsonRecord{
		Packet: r.Number, Since: r.Since.Seconds(), Backwards: r.Backwards.Seconds(),
		Text: Brief(r.Frame, r.Link), Fate: r.Fate.String(), Explain: r.Explanation,
	}
	if y := r.Time.Year(); !r.Time.IsZero() && y <= 9999 { // RFC 3339 ends there
		o.Time = &r.Time
	}
	if r.Tracked {
		o.State = r.State.String()
	}
	if r.HasConn {
		o.Dir, o.Conn = r.CtInfo.Dir().String(), &r.Conn
	}
	if r.Reason.ID != conntrack.ReasonNone {
		o.Reason = &jsonReason{r.Reason.ID.String(), r.Reason.N, r.Reason.String()}
	}
	if r.Fault != nil {
		o.Fault = r.Fault.Error()
	}
	for i := range r.Returns {
		ret := &r.Returns[i]
		n := jsonReturn{Program: ret.Program, Value: ret.Value, Trace: ret.Trace}
		if ret.Err != nil {
			n.Stopped = ret.Err.Error()
		} else {
			n.Verdict = ret.Verdict()
		}
		o.Returns = append(o.Returns, n)
	}
	if r.Whole != nil {
		o.Whole = Brief(r.Whole, wholeLink(r))
	}
	if r.Changed() {
		for _, f := range r.Out {
			o.Out = append(o.Out, Brief(f, r.OutLink))
		}
	}
	return o
}

func (j *jsonLines) events(list []conntrack.Event) error {
	for i := range list {
		e := &list[i]
		if err := j.e.Encode(jsonEvent{e.Type.String(), uint16(e.Changes), e.Conn}); err != nil {
			return err
		}
	}
	return nil
}

func (j *jsonLines) End(events []conntrack.Event, table *conntrack.Table, s *Summary) error {
	if j.show.entries() {
		if err := j.events(events); err != nil {
			return err
		}
		for c := range table.Snapshots() {
			if err := j.e.Encode(jsonEntry{c}); err != nil {
				return err
			}
		}
	}
	if j.show.Only == 0 {
		if err := j.e.Encode(map[string]*jsonSummary{"summary": s.json()}); err != nil {
			return err
		}
	}
	return j.w.Flush()
}

func (s *Summary) json() *jsonSummary {
	o := &jsonSummary{
		Packets: s.Packets, Fates: map[string]int{}, States: map[string]int{}, Reasons: map[string]int{},
		Began: s.Began, Ended: s.Ended, Alive: s.Alive,
	}
	for i, n := range s.Fates {
		if n > 0 {
			o.Fates[Fate(i).String()] = n
		}
	}
	for i, n := range s.States {
		if n > 0 {
			o.States[conntrack.State(i).String()] = n
		}
	}
	for id, n := range s.Reasons {
		o.Reasons[id.String()] = n
	}
	problem := func(n, first int) *jsonProblem {
		if n == 0 {
			return nil
		}
		return &jsonProblem{n, first}
	}
	o.Broken = problem(s.Broken, s.FirstBroken)
	o.Backwards = problem(s.Backwards, s.FirstBackwards)
	o.Stopped = problem(s.Stopped, s.FirstStopped)
	return o
}
