package pkt

import (
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// Register adds the helpers and kfuncs on packets to r.
func Register(r *vm.Registry) {
	registerSkb(r)
	registerXDP(r)
	registerAny(r)
}

func registerSkb(r *vm.Registry) {
	for name, f := range map[string]func(*vm.CPU, *Skb, *[5]uint64) (uint64, error){
		"bpf_skb_load_bytes":          skbLoadBytes,
		"bpf_skb_load_bytes_relative": skbLoadBytesRelative,
		"bpf_csum_update":             csumUpdate,
		"bpf_csum_level":              csumLevel,
		"bpf_skb_change_type":         skbChangeType,
		"bpf_get_hash_recalc":         getHashRecalc,
		"bpf_set_hash_invalid":        setHashInvalid,
		"bpf_set_hash":                setHash,
		"bpf_skb_get_tunnel_key":      skbGetTunnelKey,
		"bpf_skb_set_tunnel_key":      skbSetTunnelKey,
		"bpf_skb_get_tunnel_opt":      skbGetTunnelOpt,
		"bpf_skb_set_tunnel_opt":      skbSetTunnelOpt,
		"bpf_skb_ecn_set_ce":          ecnSetCE,
		"bpf_skb_get_xfrm_state":      skbGetXfrmState,
		"bpf_skb_set_tstamp":          skbSetTstamp,
		"bpf_skb_cgroup_id":           skbCgroupID,
		"bpf_skb_ancestor_cgroup_id":  skbAncestorCgroupID,
		"bpf_skb_cgroup_classid":      skbCgroupClassid,
		"bpf_get_cgroup_classid":      skbCgroupClassid,
		"bpf_get_route_realm":         getRouteRealm,
		"bpf_get_socket_cookie":       getSocketCookie,
		"bpf_get_socket_uid":          getSocketUID,
	} {
		r.Add(name, skbFunc(f))
	}
	for name, f := range map[string]func(*vm.CPU, *Skb, *[5]uint64) (uint64, error){
		"bpf_skb_store_bytes":  skbStoreBytes,
		"bpf_skb_pull_data":    skbPullData,
		"bpf_l3_csum_replace":  l3CsumReplace,
		"bpf_l4_csum_replace":  l4CsumReplace,
		"bpf_skb_change_head":  skbChangeHead,
		"bpf_skb_change_tail":  skbChangeTail,
		"bpf_skb_change_proto": skbChangeProto,
		"bpf_skb_adjust_room":  skbAdjustRoom,
		"bpf_skb_vlan_push":    skbVLANPush,
		"bpf_skb_vlan_pop":     skbVLANPop,
		"bpf_clone_redirect":   cloneRedirect,
	} {
		r.Add(name, movingFunc(f))
	}
}

func registerXDP(r *vm.Registry) {
	for name, f := range map[string]func(*vm.CPU, *XDP, *[5]uint64) (uint64, error){
		"bpf_xdp_adjust_head":           xdpAdjustHead,
		"bpf_xdp_adjust_meta":           xdpAdjustMeta,
		"bpf_xdp_adjust_tail":           xdpAdjustTail,
		"bpf_xdp_load_bytes":            xdpLoadBytes,
		"bpf_xdp_store_bytes":           xdpStoreBytes,
		"bpf_xdp_get_buff_len":          xdpGetBuffLen,
		"bpf_xdp_get_xfrm_state":        xdpGetXfrmState,
		"bpf_xdp_pull_data":             xdpPullData,
		"bpf_xdp_metadata_rx_timestamp": rxTimestamp,
		"bpf_xdp_metadata_rx_hash":      rxHash,
		"bpf_xdp_metadata_rx_vlan_tag":  rxVLANTag,
	} {
		r.Add(name, xdpFunc(f))
	}
}

func registerAny(r *vm.Registry) {
	r.Add("bpf_csum_diff", csumDiff)
	r.Add("bpf_redirect", redirect)
	r.Add("bpf_redirect_peer", redirectPeer)
	r.Add("bpf_redirect_neigh", redirectNeigh)
	r.Add("bpf_redirect_map", redirectMap)
	r.Add("bpf_check_mtu", checkMTU)
	r.Add("bpf_xdp_xfrm_state_release", xdpXfrmStateRelease)
	r.Add("bpf_cast_to_kern_ctx", castToKernCtx)
	registerSockets(r)
	r.Add("bpf_fib_lookup", fibLookup)
	r.Add("bpf_get_netns_cookie", getNetnsCookie)
}

func registerSockets(r *vm.Registry) {
	for name, f := range map[string]vm.Func{
		"bpf_sk_lookup_tcp":                lookupFunc(netns.ProtoTCP, false),
		"bpf_sk_lookup_udp":                lookupFunc(netns.ProtoUDP, false),
		"bpf_skc_lookup_tcp":               lookupFunc(netns.ProtoTCP, true),
		"bpf_sk_release":                   skRelease,
		"bpf_sk_assign":                    skAssign,
		"bpf_sk_fullsock":                  skFullsock,
		"bpf_tcp_sock":                     tcpSock,
		"bpf_get_listener_sock":            getListenerSock,
		"bpf_tcp_raw_gen_syncookie_ipv4":   rawGenSyncookie(false),
		"bpf_tcp_raw_gen_syncookie_ipv6":   rawGenSyncookie(true),
		"bpf_tcp_raw_check_syncookie_ipv4": rawCheckSyncookie(false),
		"bpf_tcp_raw_check_syncookie_ipv6": rawCheckSyncookie(true),
		"bpf_tcp_check_syncookie":          checkSyncookie,
		"bpf_tcp_gen_syncookie":            genSyncookie,
	} {
		r.Add(name, f)
	}
	registerCasts(r)
}
