import { nest } from '../scenarios/five-levels.ts'
import { addAtOnce, TEXTS } from '../scenarios/inserts-together.ts'
import { addThree } from '../scenarios/savepoint.ts'
import { addTwo } from '../scenarios/two-inserts.ts'
import type { Participant } from './participant.ts'

type Operation = (participant: Participant) => Promise<unknown>

export const OPERATIONS = {
  lone: ({ layer }) => layer.add('one'),
  'two inserts': ({ layer }) => addTwo(layer),
  savepoint: ({ layer }) => addThree(layer),
  'five levels': ({ layer }) => layer.transaction((inside) => nest(inside)),
  'Promise.all of ten': ({ layer }) => layer.transaction((inside) => addAtOnce(inside, inside)),
  'batch of ten': (participant) => participant.addAll(TEXTS),
} as const satisfies { readonly [name: string]: Operation }

export type OperationName = keyof typeof OPERATIONS
export const OPERATION_NAMES = Object.keys(OPERATIONS) as readonly OperationName[]
