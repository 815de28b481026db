import { inFreshProcess, type Costs, type Order, type Side } from '../javascript/fresh-process.ts'
import { OPERATION_NAMES, type OperationName } from '../javascript/operations.ts'
import { type Way, WAYS } from '../javascript/participant.ts'
import type { Probe, ProbePlace, Reading } from '../probe.ts'
import { estimate, median, ratios } from '../statistics.ts'

/** V8 goes on compiling for about a thousand transactions. */
const TIMES = 2_000

/** The CPU time of one layer, process by process. */
type Taken = { readonly [S in Side]: Costs[] }

export const javascript: Probe = {
  name: 'javascript',
  title: 'CPU with the server inside the process, by fresh processes',
  async read(place) {
    const taken = new Map<Way, Taken>(
      WAYS.map((way) => [way, { stock: [], bridge: [], before: [] }]),
    )
    for (const order of ordersOf(place)) {
      taken.get(order.way)?.[order.side].push(await inFreshProcess(order))
    }
    return OPERATION_NAMES.flatMap((operation) =>
      [...taken].flatMap(([way, costs]) => readingsOf(`${operation}: ${way}`, operation, costs)),
    )
  },
}

/** Every other round runs in reverse order, so that drift of the machine affects all sides alike. */
function ordersOf({ processes, quick, against }: ProbePlace): Order[] {
  const sides: readonly Side[] =
    against === undefined ? ['stock', 'bridge'] : ['stock', 'bridge', 'before']
  const times = quick ? TIMES / 100 : TIMES
  const round = WAYS.flatMap((way) =>
    sides.map((side) => ({ way, side, times, ...(against !== undefined && { against }) })),
  )
  return Array.from({ length: processes }, (_, at) =>
    at % 2 === 0 ? round : round.toReversed(),
  ).flat()
}

function readingsOf(name: string, operation: OperationName, taken: Taken): Reading[] {
  const costsOf = (side: Side): number[] => taken[side].map((costs) => costs[operation])
  const compare = (to: Side): Reading => {
    const [ours, theirs] = [costsOf('bridge'), costsOf(to)]
    const { median: value, low, high } = estimate(ratios(ours, theirs))
    return {
      name: `${name} + bridge ÷ ${to}`,
      value: Number(value.toFixed(2)),
      unit: `(${micros(ours)} ÷ ${micros(theirs)} µs)`,
      uncertainty: Number(((high - low) / 2).toFixed(2)),
      ...(to === 'before' && { goal: 'not slower beyond doubt', met: low <= 1 }),
    }
  }
  return taken.before.length === 0 ? [compare('stock')] : [compare('stock'), compare('before')]
}

function micros(costs: readonly number[]): string {
  return (median(costs) * 1_000).toFixed(1)
}
