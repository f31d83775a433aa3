package conntrack

import (
	"strconv"
	"strings"
)

// Status is the status word of a connection (enum ip_conntrack_status).
type Status uint32

// The bits of a status.
const (
	IPSExpected     Status = 1 << 0  // an expected connection
	IPSSeenReply    Status = 1 << 1  // packets went in both directions
	IPSAssured      Status = 1 << 2  // must not be dropped early
	IPSConfirmed    Status = 1 << 3  // is, or was, in the table
	IPSSrcNAT       Status = 1 << 4  // needs source NAT in the original direction
	IPSDstNAT       Status = 1 << 5  // needs destination NAT in the original direction
	IPSSeqAdjust    Status = 1 << 6  // TCP sequence numbers are adjusted
	IPSSrcNATDone   Status = 1 << 7  // source NAT was decided
	IPSDstNATDone   Status = 1 << 8  // destination NAT was decided
	IPSDying        Status = 1 << 9  // was taken out of the table
	IPSFixedTimeout Status = 1 << 10 // the timeout must not change
	IPSTemplate     Status = 1 << 11 // is a template
	IPSNATClash     Status = 1 << 12 // lost a clash (once: untracked)
	IPSHelper       Status = 1 << 13 // a helper was attached explicitly
	IPSOffload      Status = 1 << 14 // belongs to a flow table
	IPSHWOffload    Status = 1 << 15 // belongs to hardware
)

// Masks of the status word.
const (
	IPSNATMask     = IPSSrcNAT | IPSDstNAT
	IPSNATDoneMask = IPSSrcNATDone | IPSDstNATDone

	// ipsRefused may not differ between the old word and the new one.
	ipsRefused = IPSExpected | IPSConfirmed | IPSDying
	// ipsOnlySet may be set but not cleared.
	ipsOnlySet = IPSSeenReply | IPSAssured
	// ipsUnchangeable is IPS_UNCHANGEABLE_MASK: left as it is, silently.
	ipsUnchangeable = IPSNATDoneMask | IPSNATMask | IPSExpected | IPSConfirmed | IPSDying |
		IPSSeqAdjust | IPSTemplate | IPSNATClash | IPSOffload | IPSHWOffload
	// ipsAll is every bit that has a meaning.
	ipsAll = IPSHWOffload<<1 - 1
)

var statusNames = [...]string{
	"EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED", "SRC_NAT", "DST_NAT", "SEQ_ADJUST",
	"SRC_NAT_DONE", "DST_NAT_DONE", "DYING", "FIXED_TIMEOUT", "TEMPLATE", "NAT_CLASH",
	"HELPER", "OFFLOAD", "HW_OFFLOAD",
}

// String is the names of the bits without IPS_, "SEEN_REPLY|CONFIRMED".
func (s Status) String() string {
	if s == 0 {
		return "0"
	}
	var parts []string
	for i, n := range statusNames {
		if s&(1<<i) != 0 {
			parts = append(parts, n)
		}
	}
	if rest := s &^ ipsAll; rest != 0 {
		parts = append(parts, "0x"+strconv.FormatUint(uint64(rest), 16))
	}
	return strings.Join(parts, "|")
}
