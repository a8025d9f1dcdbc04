/**
 * Whom a deposit that named nobody goes back to (protocol §5.9): whoever owns all scripts that the deposit spent says so, by BIP322, in a
 * message that names genesis, outpoint and destination. The proof brings the transactions that show these scripts, so it needs no Bitcoin
 * node: each is what its txid says. A member's tool asks for it before it approves the order.
 */
import {
  type BitcoinTransaction,
  isCoinbase,
  parseTransaction,
  txid,
} from '../core/bitcoin/index.ts'
import { splitOutpoint } from '../core/ledger/index.ts'
import { err, type Genesis, ok, type Result } from '../core/params/index.ts'
import { outpointName } from '../core/peg/index.ts'
import { equalBytes, toHex } from '../crypto/index.ts'
import { messageFault } from './signed-message.ts'

export interface RefundProof {
  /** The transaction of the deposit, with or without its witness. */
  readonly deposit: Uint8Array
  /** Those whose outputs it spends. */
  readonly previous: readonly Uint8Array[]
  /** BIP322, by script in hex. */
  readonly signatures: ReadonlyMap<string, Uint8Array>
}

export type RefundProofFault =
  | { readonly code: 'ProofTooLarge'; readonly detail: string }
  | { readonly code: 'DepositMalformed' | 'DepositOther' | 'DepositCoinbase' }
  | { readonly code: 'PreviousMissing'; readonly detail: string }
  | { readonly code: 'SignatureMissing'; readonly detail: string }
  | { readonly code: 'SignatureRefused'; readonly detail: string }

/** A transaction that Bitcoin relays has fewer inputs. */
const MAX_INPUTS = 3_000
const MAX_PROOF_BYTES = 64 * 1024 * 1024

/** What the owner of each script signs. */
export function refundMessage(
  genesis: Genesis,
  outpoint: Uint8Array,
  scriptPubKey: Uint8Array,
): string {
  return `millrace refund of ${outpointName(outpoint)} to ${toHex(scriptPubKey)} on ${toHex(genesis.hash)}`
}

/** The scripts that a deposit spent, each once, in hex; or why they are not shown. */
export function spentScripts(
  outpoint: Uint8Array,
  { deposit, previous }: Pick<RefundProof, 'deposit' | 'previous'>,
): Result<readonly Uint8Array[], RefundProofFault> {
  const size = previous.reduce((sum, { length }) => sum + length, deposit.length)
  if (size > MAX_PROOF_BYTES) return err({ code: 'ProofTooLarge', detail: `${size} bytes` })
  const parsed = parseTransaction(deposit)
  if (!parsed.ok) return err({ code: 'DepositMalformed' })
  const { txid: id, vout } = splitOutpoint(outpoint)
  if (!equalBytes(txid(parsed.value), id) || parsed.value.outputs[vout] === undefined) {
    return err({ code: 'DepositOther' })
  }
  if (isCoinbase(parsed.value)) return err({ code: 'DepositCoinbase' })
  const { inputs } = parsed.value
  if (inputs.length > MAX_INPUTS) {
    return err({ code: 'ProofTooLarge', detail: `${inputs.length} inputs` })
  }
  const known = new Map<string, BitcoinTransaction>()
  for (const bytes of previous) {
    const one = parseTransaction(bytes)
    if (one.ok) known.set(toHex(txid(one.value)), one.value)
  }
  const scripts = new Map<string, Uint8Array>()
  for (const input of inputs) {
    const output = known.get(toHex(input.txid))?.outputs[input.vout]
    if (output === undefined) {
      return err({ code: 'PreviousMissing', detail: `${toHex(input.txid.toReversed())}` })
    }
    scripts.set(toHex(output.scriptPubKey), output.scriptPubKey)
  }
  return ok([...scripts.values()])
}

/** Why the proof does not show that all owners of the deposit want it paid to `scriptPubKey`; undefined when it does. */
export function refundProofFault(
  genesis: Genesis,
  outpoint: Uint8Array,
  scriptPubKey: Uint8Array,
  proof: RefundProof,
): RefundProofFault | undefined {
  const scripts = spentScripts(outpoint, proof)
  if (!scripts.ok) return scripts.error
  const message = refundMessage(genesis, outpoint, scriptPubKey)
  for (const script of scripts.value) {
    const name = toHex(script)
    const signature = proof.signatures.get(name)
    if (signature === undefined) return { code: 'SignatureMissing', detail: name }
    const found = messageFault(message, script, signature)
    if (found !== undefined) return { code: 'SignatureRefused', detail: `${found}: ${name}` }
  }
  return undefined
}
