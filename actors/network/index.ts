/**
 * The NetworkActor: peers, gossip, direct streams and ranges of blocks (design §9, protocol §2.10).
 * Everything from a peer is bounded, decoded totally and checked statelessly here before it is relayed or told to
 * another actor. Invariants: a message is named by its content, and only a verified one is remembered, so a forged
 * copy never stands in the way of the genuine one (prior art T3); what is too much costs the peer that sent it;
 * a peer of another genesis is disconnected with the code `ForeignGenesis`.
 */
import type { NetworkInbox } from '../../messages/index.ts'
import { type ActorDefinition, after, every } from '../../supervisor/index.ts'
import type { NetworkChecks, NetworkContext, NetworkEffect, NetworkSettings } from './context.ts'
import { peerOfAddress } from './dialing.ts'
import { type NetworkPorts, openNetwork, perform } from './effects.ts'
import { handle } from './handlers.ts'
import { DEFAULT_LIMITS, MAILBOX_CAPACITY, type NetworkLimits, TEND_PERIOD_MS } from './limits.ts'
import { networkMachine } from './machine.ts'
import { NOTHING_RECENT } from './recent.ts'
import { type Point, wireNames } from './wire.ts'

export type { CheckedSender, NetworkChecks } from './context.ts'
export type { NetworkPorts } from './effects.ts'
export type { NetworkLimits } from './limits.ts'
export type * from './port.ts'

export interface NetworkOptions {
  readonly genesisHash: Uint8Array
  /** Multiaddrs to listen on, as `/ip4/0.0.0.0/tcp/30303`. */
  readonly listen: readonly string[]
  /** Multiaddrs with peer ids that are dialled and kept: the federation. One's own is skipped. */
  readonly staticPeers: readonly string[]
  readonly checks: NetworkChecks
  /** The committed head when the actor starts; later ones come as HeadAnnounced. */
  readonly head: () => Point
  readonly limits?: Partial<NetworkLimits>
}

export type NetworkActor = ActorDefinition<
  NetworkContext,
  NetworkInbox,
  NetworkEffect,
  NetworkPorts
>

/** Throws when a static peer's address names no peer: that is a mistake in the configuration. */
export function networkActor(options: NetworkOptions): NetworkActor {
  const settings = settingsOf(options)
  return {
    name: 'network',
    machine: networkMachine,
    mailbox: { capacity: MAILBOX_CAPACITY },
    init: async (run) => {
      const identity = await openNetwork(run, settings, options.listen)
      run.log('info', 'listening', { peer: identity.peer, addresses: identity.addresses })
      const staticPeers = new Map(settings.staticPeers)
      staticPeers.delete(identity.peer)
      const context: NetworkContext = {
        settings: { ...settings, staticPeers },
        startedMs: run.clock.nowMs(),
        head: options.head(),
        peers: new Map(),
        penalties: new Map(),
        bannedUntilMs: new Map(),
        dialFailures: new Map(),
        recent: NOTHING_RECENT,
        later: [],
        prepared: new Map(),
        signers: new Map(),
        weighed: new Map(),
        serving: 0,
      }
      const dials = [...staticPeers.values()].map((address) =>
        after(0, `dial ${address}`, { type: 'network.DialPeer', payload: { address } }),
      )
      const tend = every(TEND_PERIOD_MS, 'tend', { type: 'network.TendPeers', payload: {} })
      return { context, effects: [...dials, tend], event: 'READY' }
    },
    handle,
    perform,
    stop: (_context, run) => run.ports.network.stop(),
    notice: (fact) =>
      fact.kind === 'stopping' ? { type: 'network.NetworkStopping', payload: {} } : undefined,
  }
}

function settingsOf({ genesisHash, staticPeers, checks, limits }: NetworkOptions): NetworkSettings {
  const byPeer = staticPeers.map((address): [string, string] => {
    const peer = peerOfAddress(address)
    if (peer === undefined) throw new Error(`static peer without a peer id: ${address}`)
    return [peer, address]
  })
  return {
    genesisHash,
    names: wireNames(genesisHash),
    checks,
    limits: { ...DEFAULT_LIMITS, ...limits },
    staticPeers: new Map(byPeer),
  }
}
