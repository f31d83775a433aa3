package conntrack

// ZoneDir says in which directions the id of a zone counts: bit 0 for the
// original direction, bit 1 for the reply. In a direction whose bit is not set
// the id is 0. The other six bits mean nothing, but a program may set them.
type ZoneDir uint8

// The directions of a zone.
const (
	ZoneDirOrig    ZoneDir = 1 // NF_CT_ZONE_DIR_ORIG
	ZoneDirReply   ZoneDir = 2 // NF_CT_ZONE_DIR_REPL
	ZoneDirDefault ZoneDir = 3 // NF_CT_DEFAULT_ZONE_DIR: both
)

// Zone keeps connections with equal tuples apart (struct nf_conntrack_zone).
// The zero Zone has id 0 in every direction and differs from [DefaultZone] in
// nothing but what a dump of it says.
type Zone struct {
	ID    uint16
	Flags uint8
	Dir   ZoneDir
}

// DefaultZone is the zone of everything that names none.
var DefaultZone = Zone{Dir: ZoneDirDefault}

// IDFor is the id that counts in direction d.
func (z Zone) IDFor(d Dir) uint16 {
	if z.Dir>>d&1 != 0 {
		return z.ID
	}
	return 0
}

// bySource is the id by which connections of one source are kept together: it
// counts only where it holds in exactly both directions.
func (z Zone) bySource() uint16 {
	if z.Dir == ZoneDirDefault {
		return z.ID
	}
	return 0
}
