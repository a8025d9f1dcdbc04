import type { Mutant } from './mutant.ts'

const room = 'sync'

export const SYNC_MUTANTS: readonly Mutant[] = [
  {
    name: 'parent-not-moved',
    rare: true,
    room,
    profile: 'behind',
    file: 'actors/chain/effects.ts',
    find: '    imported.push({ committed, head })\n    parent = head\n',
    replace: '    imported.push({ committed, head })\n',
    breaks: 'SY-4',
    says: 'Every block of a batch is checked against the head from before the batch.',
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
    name: 'asks-one-more',
    room,
    profile: 'behind',
    file: 'actors/sync/episode.ts',
    find: 'count: range.to - range.from + 1 })',
    replace: 'count: range.to - range.from + 2 })',
    breaks: 'SY-1',
    says: 'A peer is asked for one block more than the range has, and blamed for it.',
  },
  {
    name: 'heights-off-by-one',
    room,
    profile: 'behind',
    file: 'actors/sync/ranges.ts',
    find: '    if (header.height !== from + index) return',
    replace: '    if (header.height !== from + index + 1) return',
    breaks: 'SY-4',
    says: 'The blocks of an answer are counted from one, and every honest answer is a lie.',
  },
]
