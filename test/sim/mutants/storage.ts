import type { Mutant } from './mutant.ts'

const room = 'storage'

export const STORAGE_MUTANTS: readonly Mutant[] = [
  {
    name: 'head-before-ledger',
    room,
    profile: 'storm',
    file: 'actors/storage/effects.ts',
    find: `    await store.writeBlocks(
      stored,
      blocks.flatMap((block) => block.ledgerChanges),
    )
`,
    replace: `    await store.writeBlocks(stored, [])
    await store.writeBlocks(
      [],
      blocks.flatMap((block) => block.ledgerChanges),
    )
`,
    breaks: 'BP-7, protocol 2.11',
    says: 'A block and its ledger rows are written in two transactions.',
  },
  {
    name: 'told-before-durable',
    room,
    file: 'actors/storage/effects.ts',
    find: '    await store.writeBlocks(\n      stored,',
    replace: '    void store.writeBlocks(\n      stored,',
    breaks: 'BP-7, protocol 2.11',
    says: 'A block is acknowledged before it is on disk.',
  },
  {
    name: 'vote-not-synced',
    room,
    profile: 'storm',
    file: 'node/adapters/sign-guard/index.ts',
    find: '    await write(encodeGuardEntry(owner, sizeBytes, record))\n    await sync()\n',
    replace: '    await write(encodeGuardEntry(owner, sizeBytes, record))\n',
    breaks: 'BP-4, protocol 2.8',
    says: 'A vote is signed when its record is written and not yet synced.',
  },
  {
    name: 'engine-leads',
    room,
    profile: 'storm',
    file: 'actors/chain/effects.ts',
    find: `  const stored = await run.ask<PersistBlock>(
`,
    replace: `  await run.ask<CommitPayload>(
    'engine',
    { type: 'engine.CommitPayload', payload: { hash: head.evm.hash, height: head.header.height } },
    { timeoutMs: PERSIST_TIMEOUT_MS },
  )
  const stored = await run.ask<PersistBlock>(
`,
    breaks: 'protocol 2.11',
    says: 'The engine makes a block durable before the chain store does.',
  },
  {
    name: 'engine-not-replayed',
    room,
    profile: 'storm',
    file: 'actors/chain/index.ts',
    find: '      await replayEngine(run, head)\n',
    replace: '',
    breaks: 'SY-12',
    says: 'Blocks that the engine lost in a crash are not executed again at the start.',
  },
  {
    name: 'rows-of-items-lost',
    room,
    file: 'core/peg/burns.ts',
    find: '  const draft = new LedgerDraft(ledger, true)\n',
    replace: '  const draft = new LedgerDraft(ledger)\n',
    breaks: 'BP-7',
    says: 'Only the rows that follow the execution are stored, not those of the peg items before it.',
  },
  {
    name: 'signature-before-journal',
    room,
    file: 'governance/journal.ts',
    find: '    await file.append(JSON.stringify(entry))\n',
    replace: '    void file.append(JSON.stringify(entry))\n',
    breaks: 'PI-10, PO-13',
    says: 'A member signs before its journal is durable.',
  },
  {
    name: 'torn-tail-kept',
    room,
    profile: 'storm',
    file: 'core/guard/codec.ts',
    find: '  return ok({ view, entries, goodBytes: offset })\n',
    replace: '  return ok({ view, entries, goodBytes: bytes.length })\n',
    breaks: 'protocol 2.8',
    says: 'What a crash tore off is not cut away, and the next record is written behind it.',
  },
]
