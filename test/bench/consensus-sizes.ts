/** Of bench `consensus`, what needs no processes: certificates beside single signatures, and messages by the number of validators. */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import {
  type ConsensusMessage,
  encodeConsensusMessage,
  voteMessage,
} from '../../core/block/index.ts'
import type { Validator } from '../../core/params/index.ts'
import { buildCertificate, heightOf, quorum, verifyCertificate } from '../../core/pbft/index.ts'
import { blsKeyPair, blsSign, blsSuite, sha256, uint32be } from '../../crypto/index.ts'
import { Network } from '../unit/core/pbft/network.ts'
import { type Figure, median, medianRatio } from './figures.ts'

const CERTIFICATE_SIZES = [4, 15, 67, 100, 400] as const
const NETWORK_SIZES = [4, 7, 15, 31, 100] as const
const SEED = 1
const GENESIS_HASH = sha256(Uint8Array.of(1))

function cpuMsOf(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

/** A commit certificate with the fewest signers, beside as many checks of one ECDSA signature each. */
export function certificateChecks(rounds: number): Figure[] {
  return CERTIFICATE_SIZES.map((n) => {
    const keys = Array.from({ length: n }, (_, index) => blsKeyPair(sha256(uint32be(index))))
    const validators = keys.map(
      ({ publicKey }): Validator => ({
        blsKey: publicKey,
        power: 1,
        address: new Uint8Array(20),
      }),
    )
    const signers = quorum(validators)
    const subject = { height: 1, view: 0, blockHash: sha256(Uint8Array.of(2)) }
    const message = voteMessage(GENESIS_HASH, 'commit', 1, 0, subject.blockHash)
    const votes = keys.slice(0, signers).map(({ publicKey, secretKey }) => {
      return { validator: publicKey, signature: blsSign(secretKey, message) }
    })
    const certificate = buildCertificate(blsSuite, validators, subject, votes)
    if (certificate === undefined) throw new Error('no certificate')
    const secret = sha256(Uint8Array.of(3))
    const hash = sha256(message)
    const publicKey = secp256k1.getPublicKey(secret)
    const signature = secp256k1.sign(hash, secret, { prehash: false })
    const ours: number[] = []
    const single: number[] = []
    // Several of ours in a round: the processor's time is counted in microseconds, and one takes about a thousand.
    const repeats = 10
    for (let round = -1; round < rounds; round++) {
      const own = cpuMsOf(() => {
        for (let at = 0; at < repeats; at++) {
          const { kind } = verifyCertificate(
            blsSuite,
            GENESIS_HASH,
            'commit',
            validators,
            certificate,
          )
          if (kind !== 'valid') throw new Error('a certificate that is none')
        }
      })
      const peer = cpuMsOf(() => {
        for (let at = 0; at < signers; at++) {
          if (!secp256k1.verify(signature, hash, publicKey, { prehash: false })) {
            throw new Error('a signature that is none')
          }
        }
      })
      if (round < 0) continue
      ours.push(own / repeats)
      single.push(peer)
    }
    return {
      metric: `certificate_verify_${n}`,
      unit: 'ms',
      better: 'lower',
      ours: median(ours),
      peers: { secp256k1: median(single) },
      ratio: { secp256k1: 1 / medianRatio(ours, single) },
      note: `processor time, ${signers} signers of ${n}, beside ${signers} checks of @noble/curves`,
    }
  })
}

interface Traffic {
  messages: number
  bytes: number
}

/**
 * Messages of consensus to one peer each, in the network of the tests of core/pbft, where everybody reaches everybody directly and nothing is
 * lost: what gossip repeats comes on top. Bodies are empty. Then the same with one proposer that is silent.
 */
export function messagesOfSizes(): Figure[] {
  return NETWORK_SIZES.flatMap((n) => {
    const good = trafficOf(n, [])
    const figures = [
      messages(`messages_per_block_${n}`, good.messages, `${n} validators, pure network`),
      bytes(`message_bytes_per_block_${n}`, good.bytes, 'empty blocks'),
    ]
    if (n > NETWORK_SIZES[0]) return figures
    const bad = trafficOf(n, [0])
    return [
      ...figures,
      messages('view_change_messages', bad.messages, `a height of ${n} whose proposer is silent`),
      bytes('view_change_bytes', bad.bytes, 'of such a height'),
    ]
  })
}

function messages(metric: string, ours: number, note: string): Figure {
  return { metric, unit: 'messages', better: 'lower', ours, note }
}

function bytes(metric: string, ours: number, note: string): Figure {
  return { metric, unit: 'bytes', better: 'lower', ours, note }
}

const HEIGHTS = 3

/** A mean height's, of those whose proposer speaks, or of those whose proposer is silent. */
function trafficOf(n: number, silent: readonly number[]): Traffic {
  const byHeight = new Map<number, Traffic>()
  const changed = new Set<number>()
  const sizes = new WeakMap<ConsensusMessage, number>()
  const sent = (message: ConsensusMessage) => {
    const size = sizes.get(message) ?? encodeConsensusMessage(message).length
    sizes.set(message, size)
    const height = heightOf(message)
    if (message.kind === 'viewChange') changed.add(height)
    const traffic = byHeight.get(height) ?? { messages: 0, bytes: 0 }
    traffic.messages += 1
    traffic.bytes += size
    byHeight.set(height, traffic)
  }
  const network = new Network({ seed: SEED, n, delayMs: 5, silent, sent })
  const reached = () => Math.min(...network.honestHeights)
  const isWanted = (height: number) => changed.has(height) === silent.length > 0
  const found = () =>
    [...byHeight].filter(([height]) => height < reached() && isWanted(height)).slice(0, HEIGHTS)
  while (found().length < HEIGHTS) network.runFor(1_000)
  const traffics = found().map(([, traffic]) => traffic)
  const mean = (of: (traffic: Traffic) => number) =>
    traffics.reduce((sum, traffic) => sum + of(traffic), 0) / traffics.length
  return { messages: mean(({ messages: count }) => count), bytes: mean(({ bytes: size }) => size) }
}
