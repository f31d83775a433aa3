package conntrack

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/bpfct/bpfct/internal/errno"
)

// A setting is one file of /proc/sys/net/netfilter.
type setting struct {
	name    string
	initial int32
	// greatest is the greatest value; the least is 0. Where it is seconds the
	// value must fit in an int as jiffies. It may even be negative then.
	greatest int
}

const seconds = -1

// bounds are what value may be between where a second has hz jiffies.
func (s *setting) bounds(hz int) (least, greatest int) {
	if s.greatest == seconds {
		return -math.MaxInt32 / hz, math.MaxInt32 / hz
	}
	return 0, s.greatest
}

// settings are what the tracker has, with Linux' names and first values. Time
// is in seconds.
var settings = [...]setting{
	sysctlMax:                   {"nf_conntrack_max", defaultBuckets, math.MaxInt32},
	sysctlBuckets:               {"nf_conntrack_buckets", defaultBuckets, math.MaxInt32},
	sysctlGenericTimeout:        {"nf_conntrack_generic_timeout", 600, seconds},
	sysctlTCPSynSent:            {"nf_conntrack_tcp_timeout_syn_sent", 120, seconds},
	sysctlTCPSynRecv:            {"nf_conntrack_tcp_timeout_syn_recv", 60, seconds},
	sysctlTCPEstablished:        {"nf_conntrack_tcp_timeout_established", 432000, seconds},
	sysctlTCPFinWait:            {"nf_conntrack_tcp_timeout_fin_wait", 120, seconds},
	sysctlTCPCloseWait:          {"nf_conntrack_tcp_timeout_close_wait", 60, seconds},
	sysctlTCPLastAck:            {"nf_conntrack_tcp_timeout_last_ack", 30, seconds},
	sysctlTCPTimeWait:           {"nf_conntrack_tcp_timeout_time_wait", 120, seconds},
	sysctlTCPClose:              {"nf_conntrack_tcp_timeout_close", 10, seconds},
	sysctlTCPMaxRetrans:         {"nf_conntrack_tcp_timeout_max_retrans", 300, seconds},
	sysctlTCPUnacknowledged:     {"nf_conntrack_tcp_timeout_unacknowledged", 300, seconds},
	sysctlUDP:                   {"nf_conntrack_udp_timeout", 30, seconds},
	sysctlUDPStream:             {"nf_conntrack_udp_timeout_stream", 120, seconds},
	sysctlICMP:                  {"nf_conntrack_icmp_timeout", 30, seconds},
	sysctlICMPv6:                {"nf_conntrack_icmpv6_timeout", 30, seconds},
	sysctlGRE:                   {"nf_conntrack_gre_timeout", 30, seconds},
	sysctlGREStream:             {"nf_conntrack_gre_timeout_stream", 180, seconds},
	sysctlSCTPClosed:            {"nf_conntrack_sctp_timeout_closed", 10, seconds},
	sysctlSCTPCookieWait:        {"nf_conntrack_sctp_timeout_cookie_wait", 3, seconds},
	sysctlSCTPCookieEchoed:      {"nf_conntrack_sctp_timeout_cookie_echoed", 3, seconds},
	sysctlSCTPEstablished:       {"nf_conntrack_sctp_timeout_established", 210, seconds},
	sysctlSCTPShutdownSent:      {"nf_conntrack_sctp_timeout_shutdown_sent", 3, seconds},
	sysctlSCTPShutdownRecd:      {"nf_conntrack_sctp_timeout_shutdown_recd", 3, seconds},
	sysctlSCTPShutdownAckSent:   {"nf_conntrack_sctp_timeout_shutdown_ack_sent", 3, seconds},
	sysctlSCTPHeartbeatSent:     {"nf_conntrack_sctp_timeout_heartbeat_sent", 30, seconds},
	sysctlTCPLoose:              {"nf_conntrack_tcp_loose", 1, 1},
	sysctlTCPLiberal:            {"nf_conntrack_tcp_be_liberal", 0, 1},
	sysctlTCPIgnoreInvalidRst:   {"nf_conntrack_tcp_ignore_invalid_rst", 0, 1},
	sysctlTCPMaxRetransmissions: {"nf_conntrack_tcp_max_retrans", 3, math.MaxUint8},
	sysctlChecksum:              {"nf_conntrack_checksum", 1, 1},
	sysctlAcct:                  {"nf_conntrack_acct", 0, 1},
	sysctlTimestamp:             {"nf_conntrack_timestamp", 0, 1},
	sysctlEvents:                {"nf_conntrack_events", 2, 2},
	sysctlLogInvalid:            {"nf_conntrack_log_invalid", 0, math.MaxUint8},
	sysctlExpectMax:             {"nf_conntrack_expect_max", 4096, math.MaxInt32},
}

// The places of settings.
const (
	sysctlMax = iota
	sysctlBuckets
	sysctlGenericTimeout
	sysctlTCPSynSent
	sysctlTCPSynRecv
	sysctlTCPEstablished
	sysctlTCPFinWait
	sysctlTCPCloseWait
	sysctlTCPLastAck
	sysctlTCPTimeWait
	sysctlTCPClose
	sysctlTCPMaxRetrans
	sysctlTCPUnacknowledged
	sysctlUDP
	sysctlUDPStream
	sysctlICMP
	sysctlICMPv6
	sysctlGRE
	sysctlGREStream
	sysctlSCTPClosed
	sysctlSCTPCookieWait
	sysctlSCTPCookieEchoed
	sysctlSCTPEstablished
	sysctlSCTPShutdownSent
	sysctlSCTPShutdownRecd
	sysctlSCTPShutdownAckSent
	sysctlSCTPHeartbeatSent
	sysctlTCPLoose
	sysctlTCPLiberal
	sysctlTCPIgnoreInvalidRst
	sysctlTCPMaxRetransmissions
	sysctlChecksum
	sysctlAcct
	sysctlTimestamp
	sysctlEvents
	sysctlLogInvalid
	sysctlExpectMax
)

// countName is the one file that can only be read.
const countName = "nf_conntrack_count"

type sysctls [len(settings)]atomic.Int32

func (s *sysctls) init(limit, buckets uint32) {
	for i := range settings {
		s[i].Store(settings[i].initial)
	}
	s[sysctlMax].Store(int32(min(limit, math.MaxInt32)))
	s[sysctlBuckets].Store(int32(min(buckets, math.MaxInt32)))
}

func (s *sysctls) max() uint32 { return uint32(s[sysctlMax].Load()) }

// Sysctls lists the names that [Table.Sysctl] knows.
func Sysctls() []string {
	names := make([]string, 0, len(settings)+1)
	for _, s := range settings {
		names = append(names, s.name)
	}
	return append(names, countName)
}

func settingOf(name string) (int, bool) {
	for i := range settings {
		if settings[i].name == name {
			return i, true
		}
	}
	return 0, false
}

// Sysctl reads a file of /proc/sys/net/netfilter; ENOENT where the tracker has
// none of this name.
func (t *Table) Sysctl(name string) (int, error) {
	if name == countName {
		return t.Count(), nil
	}
	i, ok := settingOf(name)
	if !ok {
		return 0, fmt.Errorf("sysctl net.netfilter.%s: %w", name, errno.ENOENT)
	}
	return int(t.sysctls[i].Load()), nil
}

// SetSysctl writes a file of /proc/sys/net/netfilter. Whoever has the table may
// write also what Linux lets only the first namespace write. ENOENT for an unknown
// name, EACCES for nf_conntrack_count, EINVAL for a value out of range.
// nf_conntrack_buckets is rounded up to what fills whole pages.
func (t *Table) SetSysctl(name string, value int) error {
	if name == countName {
		return fmt.Errorf("sysctl net.netfilter.%s: %w", name, errno.EACCES)
	}
	i, ok := settingOf(name)
	if !ok {
		return fmt.Errorf("sysctl net.netfilter.%s: %w", name, errno.ENOENT)
	}
	if lo, hi := settings[i].bounds(t.hz); value < lo || value > hi || i == sysctlBuckets && value == 0 {
		return fmt.Errorf("sysctl net.netfilter.%s = %d: %w", name, value, errno.EINVAL)
	}
	if i == sysctlBuckets {
		t.resize(uint32(value))
		value = int(t.chains.buckets())
	}
	t.sysctls[i].Store(int32(value))
	return nil
}
