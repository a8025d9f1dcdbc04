/** The vault in another process: asks, waits so long, and does not know what it was not told in time. */
import { wait } from '../../bridge/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { equalBytes } from '../../crypto/index.ts'
import type { SignerClient, SignerFault } from '../../node/adapters/governance-grpc/index.ts'
import { SIGNER_LIMITS, type SignerMethod } from '../../proto/index.ts'
import type { Vault, VaultVerdict } from '../port.ts'
import * as wire from './wire.ts'

export interface RemoteVaultOptions {
  readonly client: Pick<SignerClient, 'ask'>
  readonly genesis: Genesis
  readonly software: string
  /** Said once when it stops answering, and once when it answers again. */
  readonly noted: (
    isThere: boolean,
    fields: { readonly code?: string; readonly reason?: string },
  ) => void
}

/** Why a signer is not one that can be used. */
export interface SignerRefusal {
  readonly code: SignerFault | 'SignerOfAnotherChain'
  readonly detail: string
}

type Asked<T> = { readonly ok: true; readonly value: T } | ({ readonly ok: false } & SignerRefusal)

export interface RemoteVault extends Vault {
  /** Whether it answered last time. */
  isThere(): boolean
  /** Who the signer is; never rejects. */
  welcome(): Promise<Asked<wire.Welcome>>
}

const RETRY_MS = 2_000
const { answerMs, helloMs, keygenMs } = SIGNER_LIMITS

export function createRemoteVault(options: RemoteVaultOptions): RemoteVault {
  const { client, genesis, noted, software } = options
  let isThere = true

  async function ask<Q, A>(
    method: SignerMethod,
    question: wire.Codec<Q>,
    answer: wire.Codec<A>,
    value: Q,
    withinMs: number,
  ): Promise<Asked<A>> {
    const given = await client.ask(method, question.encode(value), withinMs)
    if (given.ok !== isThere) {
      isThere = given.ok
      noted(isThere, given.ok ? {} : { code: given.code, reason: given.detail })
    }
    if (!given.ok) return given
    const decoded = answer.decode(given.fields)
    if (decoded !== undefined) return { ok: true, value: decoded }
    return { ok: false, code: 'SignerFailed', detail: `${method}: no answer of this schema` }
  }

  async function verdict<Q, T>(
    method: SignerMethod,
    question: wire.Codec<Q>,
    answer: wire.Codec<VaultVerdict<T>>,
    value: Q,
    withinMs: number = answerMs,
  ): Promise<VaultVerdict<T>> {
    const given = await ask(method, question, answer, value, withinMs)
    return given.ok ? given.value : wait(given.code, RETRY_MS)
  }

  async function welcome(): Promise<Asked<wire.Welcome>> {
    const hello = { genesisHash: genesis.hash, software }
    const given = await ask('Hello', wire.hello, wire.welcome, hello, helloMs)
    if (!given.ok || equalBytes(given.value.genesisHash, genesis.hash)) return given
    return { ok: false, code: 'SignerOfAnotherChain', detail: 'its genesis file is another one' }
  }

  return {
    isThere: () => isThere,
    welcome,
    head: async () => {
      const given = await welcome()
      if (given.ok) return given.value.head
      throw new Error(`${given.code}: ${given.detail}`)
    },
    follow: async (announced) => {
      const { followAnswer, followQuestion } = wire
      const given = await ask('Follow', followQuestion, followAnswer, announced, answerMs)
      return given.ok && given.value
    },
    approve: (question) => verdict('Approve', wire.approvalQuestion, wire.approvalAnswer, question),
    offer: (question) => verdict('Offer', wire.offerQuestion, wire.offerAnswer, question),
    parts: (question) => verdict('Parts', wire.partsQuestion, wire.partsAnswer, question),
    keygen: (question) =>
      verdict('Keygen', wire.keygenQuestion, wire.keygenAnswer, question, keygenMs),
    settle: (key) => verdict('Settle', wire.settleQuestion, wire.settleAnswer, key, keygenMs),
  }
}
