/**
 * What this member has signed, one JSON line per entry, durable before a signature leaves (protocol §4.5, PI-10, PO-13). It makes answers
 * repeatable: the same question gets the same signature, and a batch version is signed for one transaction only.
 */
import { z } from 'zod'
import { fromHex, toHex } from '../crypto/index.ts'
import { type OpenedLines, openLines } from './files.ts'

const hex = z.string().regex(/^(?:[0-9a-f]{2})*$/)

const entrySchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('approval'),
    atMs: z.number(),
    outpoint: z.string(),
    claimRoot: hex,
    signature: hex,
  }),
  /** Written before the keys are used. */
  z.object({
    kind: z.literal('intent'),
    atMs: z.number(),
    batchId: hex,
    version: z.number(),
    txid: hex,
    /** All that leaves the reserve; the name is that of the first journals. */
    paidSat: z.string().regex(/^\d+$/),
    /** Of a batch that pays nobody, whose fee that is. */
    paysNobody: z.literal(true).optional(),
  }),
  z.object({
    kind: z.literal('signed'),
    atMs: z.number(),
    batchId: hex,
    version: z.number(),
    txid: hex,
  }),
])
type Entry = z.infer<typeof entrySchema>

/** What a batch takes out of the reserve, for the rolling limit: of the versions that were agreed to the most, since when. */
export interface LeavingMark {
  readonly batchId: string
  readonly atMs: number
  readonly leavingSat: bigint
  /** Of a sweep. */
  readonly paysNobody: boolean
}

export interface Journal {
  approval(outpoint: string, claimRoot: Uint8Array): Uint8Array | undefined
  /** The transaction that signing began for, if it did. */
  intent(batchId: Uint8Array, version: number): Uint8Array | undefined
  leaving(): readonly LeavingMark[]
  noteApproval(
    atMs: number,
    outpoint: string,
    claimRoot: Uint8Array,
    signature: Uint8Array,
  ): Promise<void>
  noteIntent(
    atMs: number,
    batchId: Uint8Array,
    version: number,
    txid: Uint8Array,
    leaving: Pick<LeavingMark, 'leavingSat' | 'paysNobody'>,
  ): Promise<void>
  /** Whether parts of this member's may have left. */
  isSigned(batchId: Uint8Array, version: number): boolean
  /** Parts of the member's are about to leave, for the first time. */
  noteSigned(atMs: number, batchId: Uint8Array, version: number, txid: Uint8Array): Promise<void>
  close(): Promise<void>
}

export type JournalDamaged = { readonly code: 'JournalDamaged'; readonly line: number }

/** Opens or creates the journal file. */
export async function openJournal(path: string): Promise<Journal | JournalDamaged> {
  const opened = await openLines(path)
  const journal = createJournal(opened)
  if ('code' in journal) await opened.file.close()
  return journal
}

/** The journal over a file's lines. A damaged line that is not the torn last one needs a person. */
export function createJournal({ file, lines }: OpenedLines): Journal | JournalDamaged {
  const index = new JournalIndex()
  for (const [at, line] of lines.entries()) {
    const entry = parseEntry(line)
    if (entry === undefined) return { code: 'JournalDamaged', line: at + 1 }
    index.add(entry)
  }
  const write = async (entry: Entry): Promise<void> => {
    await file.append(JSON.stringify(entry))
    index.add(entry)
  }
  return {
    approval: (outpoint, claimRoot) => index.approvals.get(`${outpoint}|${toHex(claimRoot)}`),
    intent: (batchId, version) => index.intents.get(batchKey(toHex(batchId), version)),
    leaving: () => [...index.leaving.values()],
    noteApproval: (atMs, outpoint, claimRoot, signature) =>
      write({
        kind: 'approval',
        atMs,
        outpoint,
        claimRoot: toHex(claimRoot),
        signature: toHex(signature),
      }),
    noteIntent: (atMs, batchId, version, txid, { leavingSat, paysNobody }) =>
      write({
        kind: 'intent',
        atMs,
        batchId: toHex(batchId),
        version,
        txid: toHex(txid),
        paidSat: String(leavingSat),
        ...(paysNobody && { paysNobody }),
      }),
    isSigned: (batchId, version) => index.signed.has(batchKey(toHex(batchId), version)),
    noteSigned: (atMs, batchId, version, txid) =>
      write({ kind: 'signed', atMs, batchId: toHex(batchId), version, txid: toHex(txid) }),
    close: () => file.close(),
  }
}

function parseEntry(line: string): Entry | undefined {
  try {
    return entrySchema.parse(JSON.parse(line))
  } catch {
    return undefined
  }
}

function batchKey(batchId: string, version: number): string {
  return `${batchId}:${version}`
}

function bytes(text: string): Uint8Array {
  return fromHex(text) as Uint8Array
}

class JournalIndex {
  readonly approvals = new Map<string, Uint8Array>()
  readonly intents = new Map<string, Uint8Array>()
  readonly signed = new Set<string>()
  /** By batch: of its versions one confirms. */
  readonly leaving = new Map<string, LeavingMark>()

  add(entry: Entry): void {
    switch (entry.kind) {
      case 'approval':
        this.approvals.set(`${entry.outpoint}|${entry.claimRoot}`, bytes(entry.signature))
        return
      case 'intent': {
        const { batchId, version, txid, atMs } = entry
        const leavingSat = BigInt(entry.paidSat)
        this.intents.set(batchKey(batchId, version), bytes(txid))
        const most = this.leaving.get(batchId)
        if (most === undefined || leavingSat > most.leavingSat) {
          const paysNobody = entry.paysNobody === true
          this.leaving.set(batchId, { batchId, atMs, leavingSat, paysNobody })
        }
        return
      }
      case 'signed':
        this.signed.add(batchKey(entry.batchId, entry.version))
        return
    }
  }
}
