/** Members that make a key together, block by block, on a ledger without anything else. */
import { KEYGEN_KINDS, type KeygenItem, type KeygenKind } from '../../../../core/block/index.ts'
import {
  applyKeygen,
  ciphertextFor,
  decodeKeygenContent,
  dkgSession,
  encodeKeygenContent,
  type KeygenContents,
  keyCommitments,
  keygenConfirmationMessage,
  keygenItemKey,
  keygenRowOf,
  packagesOf,
  signKeygenItem,
} from '../../../../core/keygen/index.ts'
import {
  genesisLedger,
  heightKey,
  KEYGEN_STAGE,
  type KeygenRow,
  type KeyRow,
  type Ledger,
  LedgerDraft,
  rowOf,
  type SetRows,
} from '../../../../core/ledger/index.ts'
import type { Genesis } from '../../../../core/params/index.ts'
import {
  beginDkg,
  complain,
  type DkgPackage,
  type DkgSecret,
  dkgKeyShare,
  encryptShares,
  type KeyShare,
  openShare,
  schnorrSign,
} from '../../../../crypto/index.ts'
import { seeded } from '../peg/world.ts'

export const EPOCH = 1
export const AUXILIARY = seeded('auxiliary')

/** Bytes that look random and are the same in every run. */
export function randomOf(name: string) {
  let drawn = 0
  return (length: number) => {
    const parts = Array.from({ length: Math.ceil(length / 32) }, () => seeded(`${name} ${drawn++}`))
    return Uint8Array.from(parts.flatMap((part) => [...part])).subarray(0, length)
  }
}

export class Ceremony {
  readonly genesis: Genesis
  ledger: Ledger
  height = 0
  /** Of the key that is made. */
  epoch = EPOCH
  private readonly begun = new Map<string, { secret: DkgSecret; told: DkgPackage }>()

  /** `ledger`: one with other things in it, where the key is made beside them. */
  constructor(genesis: Genesis, ledger = genesisLedger(genesis)) {
    this.genesis = genesis
    this.ledger = ledger
  }

  /** A row as no rule made it: what a quorum of validators that is not honest can write. */
  forge<S extends 'keygen' | 'keygenItems' | 'keys' | 'outputs'>(
    set: S,
    key: Uint8Array,
    change: Partial<SetRows[S]>,
  ): void {
    const draft = new LedgerDraft(this.ledger, true)
    draft.put(set, key, { ...(draft.get(set, key) as SetRows[S]), ...change })
    this.ledger = draft.finish()
  }

  get row(): KeygenRow {
    return keygenRowOf(this.genesis, this.ledger, this.epoch)
  }

  get key(): KeyRow | undefined {
    return rowOf(this.ledger, 'keys', heightKey(this.epoch))
  }

  /** The next block; the code of the rule that it breaks, if it does. */
  block(items: readonly KeygenItem[] = []): string | undefined {
    const applied = applyKeygen(this.genesis, this.ledger, this.height + 1, items)
    if (!applied.ok) return applied.error.code
    this.height += 1
    this.ledger = applied.value
    return undefined
  }

  /** Blocks without items, up to this height. */
  pass(height: number): void {
    while (this.height < height) this.block()
  }

  secretOf(signer: number) {
    const { row } = this
    const name = `${signer} ${this.epoch} ${row.attempt}`
    const present = this.begun.get(name)
    if (present !== undefined) return present
    const made = beginDkg(dkgSession(this.genesis, row), signer, randomOf(`dkg ${name}`))
    this.begun.set(name, made)
    return made
  }

  item<K extends KeygenKind>(
    signer: number,
    kind: K,
    content: KeygenContents[K],
    changes: Partial<KeygenItem> = {},
  ): KeygenItem {
    const statement = {
      epoch: this.epoch,
      sessionId: this.row.sessionId,
      kind: KEYGEN_KINDS.indexOf(kind),
      signer,
      content: encodeKeygenContent(kind, content),
      ...changes,
    }
    return {
      ...signKeygenItem(this.genesis, statement, seeded(`schnorr ${signer - 1}`), AUXILIARY),
    }
  }

  call(signer: number, untilHeight = this.height + 10): KeygenItem {
    return this.item(signer, 'call', { untilHeight })
  }

  package(signer: number): KeygenItem {
    return this.item(signer, 'package', this.secretOf(signer).told)
  }

  packages() {
    const { sessionId, signers } = this.row
    return packagesOf(new LedgerDraft(this.ledger), sessionId, signers)
  }

  ciphertexts(signer: number): Uint8Array[] {
    const { secret } = this.secretOf(signer)
    const shares = encryptShares(dkgSession(this.genesis, this.row), secret, this.packages())
    return this.row.signers.flatMap((other) => {
      const one = shares.get(other)
      return one === undefined ? [] : [one]
    })
  }

  shares(signer: number): KeygenItem {
    return this.item(signer, 'shares', { ciphertexts: this.ciphertexts(signer) })
  }

  /** What the ledger has of what `sender` encrypted to `recipient`. */
  sent(sender: number, recipient: number): Uint8Array {
    const { sessionId, signers } = this.row
    const key = keygenItemKey(sessionId, KEYGEN_STAGE.shares, sender)
    const row = rowOf(this.ledger, 'keygenItems', key)
    const content = decodeKeygenContent('shares', row?.content ?? new Uint8Array(0))
    return ciphertextFor(signers, sender, recipient, content?.ciphertexts ?? []) as Uint8Array
  }

  keyShare(signer: number): KeyShare {
    const session = dkgSession(this.genesis, this.row)
    const { secret } = this.secretOf(signer)
    const packages = this.packages()
    const others = session.signers.filter((other) => other !== signer)
    const opened = others.map((sender) => {
      const share = openShare(session, secret, packages, sender, this.sent(sender, signer))
      return [sender, share as Uint8Array] as const
    })
    return dkgKeyShare(session, secret, packages, new Map(opened))
  }

  confirmation(signer: number, share = this.keyShare(signer)): KeygenItem {
    const [key = new Uint8Array(33)] = keyCommitments(this.row) ?? []
    const { sessionId } = this.row
    const message = keygenConfirmationMessage(this.genesis, this.epoch, sessionId, key.slice(1))
    return this.item(signer, 'confirmation', {
      signature: schnorrSign(share.secret, message, AUXILIARY),
    })
  }

  complaint(signer: number, accused: number): KeygenItem {
    const session = dkgSession(this.genesis, this.row)
    const { secret } = this.secretOf(signer)
    const content = complain(session, secret, this.packages(), accused, AUXILIARY)
    return this.item(signer, 'complaint', content)
  }

  /** All signers of the session do what a stage asks for, in one block. */
  all(say: (signer: number) => KeygenItem): string | undefined {
    return this.block(this.row.signers.map(say))
  }

  toShares(): void {
    this.all((signer) => this.package(signer))
  }

  toConfirmations(): void {
    this.toShares()
    this.all((signer) => this.shares(signer))
  }

  toKey(): void {
    this.toConfirmations()
    this.all((signer) => this.confirmation(signer))
  }
}
