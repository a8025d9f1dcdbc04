import type { Mutant } from './mutant.ts'

const room = 'sync'

export const SYNC_MUTANTS: readonly Mutant[] = [
  {
    name: 'parent-not-moved',
    room,
    file: 'actors/chain/effects.ts',
    find: '    imported.push({ committed, head })\n    parent = head\n',
    replace: '    imported.push({ committed, head })\n',
    breaks: 'SY-4',
    says: 'Every block of a batch is checked against the head from before the batch.',
  },
  {
    name: 'head-imported-again',
    room,
    file: 'actors/chain/handlers.ts',
    find: '(committed) => committed.block.header.height > height)',
    replace: '(committed) => committed.block.header.height >= height)',
    breaks: 'SY-4',
    says: 'A batch that begins with our head is imported with it.',
  },
  {
    name: 'commit-beside-batch',
    room,
    file: 'actors/chain/handlers.ts',
    find: '  return context.storing\n',
    replace: '  return context.storing && !context.syncing\n',
    breaks: 'protocol 2.11',
    says: 'A decided block is stored behind a batch that may hold it already.',
  },
  {
    name: 'stale-commit-after-batch',
    room,
    file: 'actors/chain/handlers.ts',
    find: '      const effects = [...(stepped.effects ?? []), answered]\n',
    replace: `      const late = waitingCommit === undefined ? [] : [waitingCommit]
      const effects = [...(stepped.effects ?? []), answered, ...late]
`,
    breaks: 'protocol 2.11',
    says: 'A commit that waited for a batch is stored although the batch moved the head.',
  },
  {
    name: 'stalled-for-ever',
    room,
    file: 'actors/sync/handlers.ts',
    find: '    if (nowMs - (episode.stalledMs ?? 0) < STALL_MS) return walk\n',
    replace:
      '    if (nowMs - (episode.stalledMs ?? nowMs) < STALL_MS || episode.ranges.length > 0) return walk\n',
    breaks: 'SY-6',
    says: 'A stalled episode that still has ranges is not tried again.',
  },
  {
    name: 'owner-kept',
    room,
    file: 'actors/sync/ranges.ts',
    find: '  return { from: range.from, to: range.to, failed }\n',
    replace: '  return { ...range, failed }\n',
    breaks: 'SY-3',
    says: 'A range that is taken back stays with the peer that failed at it.',
  },
  {
    name: 'rest-forgotten',
    room,
    file: 'actors/sync/episode.ts',
    find: '  const rest: Range[] = to < range.to ? [{ from: to + 1, to: range.to, failed: [] }] : []\n',
    replace: '  const rest: Range[] = []\n',
    breaks: 'SY-1',
    says: 'What an answer lacks at its end is asked of nobody.',
  },
  {
    name: 'any-range-first',
    room,
    file: 'actors/sync/handlers.ts',
    find: '  const lowest = episode.ranges[0]\n  if (lowest === undefined) return go(asked,',
    replace: `  const lowest = episode.ranges.find(({ batch }) => batch !== undefined) ?? episode.ranges[0]
  if (lowest === undefined) return go(asked,`,
    breaks: 'SY-4',
    says: 'The first range that arrived is imported, whatever is missing below it.',
  },
  {
    name: 'serves-one-more',
    room,
    file: 'actors/storage/effects.ts',
    find: '  for (let height = range.from; height < range.from + count; height++) {',
    replace: '  for (let height = range.from; height <= range.from + count; height++) {',
    breaks: 'SY-1',
    says: 'An answer holds one block more than was asked for.',
  },
  {
    name: 'above-keeps-head',
    room,
    file: 'actors/sync/ranges.ts',
    find: '    const blocks = batch.blocks.slice(height + 1 - range.from)\n',
    replace: '    const blocks = batch.blocks.slice(height - range.from)\n',
    breaks: 'SY-4',
    says: 'When the node commits a block by itself, the batch that waits keeps it.',
  },
]
