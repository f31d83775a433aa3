package pkt

func (s *Skb) syncKernel() {}
func (x *XDP) syncKernel() {}
