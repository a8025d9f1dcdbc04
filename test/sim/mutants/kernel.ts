import type { Mutant } from './mutant.ts'

const room = 'kernel'

export const KERNEL_MUTANTS: readonly Mutant[] = [
  {
    name: 'mail-lost-at-restart',
    room,
    file: 'supervisor/cell.ts',
    find: '    this.incarnation = new Incarnation(this.incarnation.number + 1)\n',
    replace: `    this.incarnation = new Incarnation(this.incarnation.number + 1)
    this.mailbox.drain()
`,
    breaks: 'SU-4',
    says: 'A new incarnation begins with an empty mailbox.',
  },
  {
    name: 'sleeps-after-restart',
    room,
    file: 'supervisor/cell.ts',
    find: '    if (this.mode.done) this.group.complete(this)\n    this.wake()\n',
    replace: '    if (this.mode.done) this.group.complete(this)\n',
    breaks: 'SU-4',
    says: 'Nobody wakes an actor for the mail that came while it was away.',
  },
  {
    name: 'asks-left-open',
    room,
    file: 'supervisor/asks.ts',
    find: '    for (const ask of this.open()) if (ask.takenBy === incarnation) this.fail(ask, code)\n',
    replace: '',
    breaks: 'SU-4',
    says: 'Requests that an actor had taken are not answered when it restarts.',
  },
  {
    name: 'blocked-for-ever',
    room,
    file: 'supervisor/mailbox.ts',
    find: '    if (this.waiting > 0) this.admitWaiters(rank)\n',
    replace: '',
    breaks: 'SU-6, SU-10',
    says: 'Producers that wait for room in a full mailbox are not let in when there is some.',
  },
  {
    name: 'full-drops-newest',
    room,
    file: 'supervisor/mailbox.ts',
    find: "      case 'blockProducer':\n        return 'full'\n",
    replace: "      case 'blockProducer':\n        return 'dropped'\n",
    breaks: 'SU-6, SU-8',
    says: 'A full mailbox drops what its producer should wait for.',
  },
  {
    name: 'stops-in-start-order',
    room,
    file: 'supervisor/group.ts',
    find: 'for (const cell of [...this.cells].reverse()) await this.bringDown(cell, plan)',
    replace: 'for (const cell of [...this.cells]) await this.bringDown(cell, plan)',
    breaks: 'SU-5',
    says: 'Actors are stopped in the order in which they were started.',
  },
  {
    name: 'ring-forgets-last',
    room,
    file: 'supervisor/ring.ts',
    find: '    for (let at = this.head; at < this.tail; at += 1) {\n      const letter = this.slots[at',
    replace:
      '    for (let at = this.head; at < this.tail - 1; at += 1) {\n      const letter = this.slots[at',
    breaks: 'SU-8',
    says: 'A ring that grows leaves its last letter behind.',
  },
  {
    name: 'newest-first',
    room,
    file: 'supervisor/mailbox.ts',
    find: '    const ring = this.ring(rank)\n    ring.push(letter)\n',
    replace: '    const ring = this.ring(rank)\n    ring.pushFront(letter)\n',
    breaks: 'SU-7',
    says: 'New letters are put in front of those that wait.',
  },
  {
    name: 'tired-actor-forgotten',
    room,
    file: 'supervisor/dispatcher.ts',
    find: '      if (more && !actor.queued) {',
    replace: '      if (more && left > 0 && !actor.queued) {',
    breaks: 'SU-7',
    says: 'An actor that used up its slice is not put into the queue again.',
  },
]
