package conntrack

// allowsClash says whether two packets of a protocol that began the same
// connection at once may both pass.
func allowsClash(proto uint8) bool {
	switch proto {
	case ProtoTCP, ProtoICMP, ProtoICMPv6, ProtoSCTP:
		return false
	}
	return true
}

// resolveClash deals with i's connection, which cannot be confirmed because s
// has one of its tuples (nf_ct_resolve_clash). The packet goes on as one of the
// other connection where that is not translated, or is the same in every
// respect. Else its own connection gets in by its reply tuple alone, for a
// second, so that an answer finds back.
//
// Both shards of the connection are locked.
func (t *Table) resolveClash(i *Info, s slot, p *[2]place) bool {
	e := i.Conn.e
	if !allowsClash(e.orig.Proto) {
		return false
	}
	h := s.handle()
	o := t.slab.at(h)
	if Status(o.status.Load())&IPSNATDoneMask == 0 || sameConn(o, e) {
		o.use.Add(1)
		winner := Conn{t: t, e: o, h: h, gen: o.gen.Load()}
		t.mergeCounts(winner, i.Conn, i.Dir())
		i.loser, i.Conn = i.Conn, winner
		t.stats.add(statClashResolve, 1)
		return true
	}
	if _, taken := t.clash(&p[Reply], e, Reply); taken {
		return false
	}
	if !t.index[p[Reply].shard].add(makeSlot(p[Reply].tag, i.Conn.h, Reply)) {
		return false
	}
	t.chains.add(p[Reply].hash, 1)
	e.timeout.Store(t.now() + uint32(t.hz))
	t.stampStart(i.Conn.h)
	e.use.Add(1)
	e.status.Or(uint32(IPSConfirmed | IPSFixedTimeout | IPSNATClash))
	t.stats.add(statClashResolve, 1)
	return true
}

func sameConn(a, b *entry) bool {
	return a.orig == b.orig && a.reply == b.reply &&
		a.zone.IDFor(Original) == b.zone.IDFor(Original) && a.zone.IDFor(Reply) == b.zone.IDFor(Reply)
}
