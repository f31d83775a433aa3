package objects

// Offsets in a tree's root and nodes. A node's first word is its parent and, in
// bit 0, its colour.
const (
	rootTop      = 0
	rootLeftmost = 8

	nodeParent = 0
	right      = 8
	left       = 16
	nodeOwner  = 24

	black = 1
)

// tree is a red-black tree in guest memory. It rebalances exactly as Linux does,
// because programs can see the shape.
type tree struct {
	words
	root uint64 // address of the struct bpf_rb_root
}

func (t *tree) parent(n uint64) uint64 { return t.get(n) &^ 7 }

func (t *tree) isRed(n uint64) bool { return n != 0 && t.get(n)&black == 0 }

func (t *tree) setParent(n, p uint64) { t.set(n, p|t.get(n)&black) }

func (t *tree) setBlack(n uint64) { t.set(n, t.get(n)|black) }

func (t *tree) setRed(n uint64) { t.set(n, t.get(n)&^black) }

// copyColour gives n the colour of from.
func (t *tree) copyColour(n, from uint64) { t.set(n, t.parent(n)|t.get(from)&black) }

// other is the opposite side.
func other(side uint64) uint64 { return left + right - side }

// side is where n hangs below p.
func (t *tree) side(n, p uint64) uint64 {
	if t.get(p+left) == n {
		return left
	}
	return right
}

// replace hangs n, which may be 0, in the place of old below p.
func (t *tree) replace(old, n, p uint64) {
	if p == 0 {
		t.set(t.root+rootTop, n)
	} else {
		t.set(p+t.side(old, p), n)
	}
	if n != 0 {
		t.setParent(n, p)
	}
}

// rotate moves n down to the given side; its child on the other side takes its
// place.
func (t *tree) rotate(n, side uint64) {
	up := t.get(n + other(side))
	inner := t.get(up + side)
	t.replace(n, up, t.parent(n))
	t.set(up+side, n)
	t.setParent(n, up)
	t.set(n+other(side), inner)
	if inner != 0 {
		t.setParent(inner, n)
	}
}

// insert hangs the new node n on the given side below p and rebalances;
// leftmost says that it is the first node in order.
func (t *tree) insert(n, p, side uint64, leftmost bool) {
	t.set(n+nodeParent, p)
	t.set(n+left, 0)
	t.set(n+right, 0)
	if p == 0 {
		t.set(t.root+rootTop, n)
	} else {
		t.set(p+side, n)
	}
	if leftmost {
		t.set(t.root+rootLeftmost, n)
	}
	for t.step() {
		p := t.parent(n)
		if !t.isRed(p) {
			break
		}
		g := t.parent(p)
		side := t.side(p, g)
		if uncle := t.get(g + other(side)); t.isRed(uncle) {
			t.setBlack(p)
			t.setBlack(uncle)
			t.setRed(g)
			n = g
			continue
		}
		if t.side(n, p) != side {
			t.rotate(p, side)
			p = n
		}
		t.setBlack(p)
		t.setRed(g)
		t.rotate(g, other(side))
		break
	}
	t.setBlack(t.get(t.root + rootTop))
}

// first is the leftmost node below n.
func (t *tree) first(n uint64) uint64 {
	for t.step() {
		l := t.get(n + left)
		if l == 0 {
			break
		}
		n = l
	}
	return n
}

// next is the node after n in order, 0 for none.
func (t *tree) next(n uint64) uint64 {
	if r := t.get(n + right); r != 0 {
		return t.first(r)
	}
	for t.step() {
		p := t.parent(n)
		if p == 0 || t.get(p+left) == n {
			return p
		}
		n = p
	}
	return 0
}

// erase takes n out of the tree.
func (t *tree) erase(n uint64) {
	if t.get(t.root+rootLeftmost) == n {
		t.set(t.root+rootLeftmost, t.next(n))
	}
	var child, p uint64 // what moves up, and below what
	red := t.isRed(n)
	l, r := t.get(n+left), t.get(n+right)
	if l == 0 || r == 0 {
		child, p = l|r, t.parent(n)
		t.replace(n, child, p)
	} else {
		s := t.first(r)
		red = t.isRed(s)
		child, p = t.get(s+right), t.parent(s)
		if p == n {
			p = s
		} else {
			t.replace(s, child, p)
			t.set(s+right, r)
			t.setParent(r, s)
		}
		t.set(s+left, l)
		t.setParent(l, s)
		t.replace(n, s, t.parent(n))
		t.copyColour(s, n)
	}
	if !red {
		t.rebalance(child, p)
	}
}

// rebalance restores the tree after the paths through n, which may be 0, below
// p lost a black node.
func (t *tree) rebalance(n, p uint64) {
	for p != 0 && !t.isRed(n) && t.step() {
		side := left
		if t.get(p+left) != n {
			side = right
		}
		far := other(uint64(side))
		s := t.get(p + far)
		if t.isRed(s) {
			t.setBlack(s)
			t.setRed(p)
			t.rotate(p, uint64(side))
			s = t.get(p + far)
		}
		if !t.isRed(t.get(s+left)) && !t.isRed(t.get(s+right)) {
			t.setRed(s)
			n, p = p, t.parent(p)
			continue
		}
		if !t.isRed(t.get(s + far)) {
			t.setBlack(t.get(s + uint64(side)))
			t.setRed(s)
			t.rotate(s, far)
			s = t.get(p + far)
		}
		t.copyColour(s, p)
		t.setBlack(p)
		t.setBlack(t.get(s + far))
		t.rotate(p, uint64(side))
		return
	}
	if n != 0 {
		t.setBlack(n)
	}
}
