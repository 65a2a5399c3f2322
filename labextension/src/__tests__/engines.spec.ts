import { EnginesModel, machineOf } from '../engines';
import { WireError } from '../wire';
import { isEngineEvent, parseEngines } from '../wireEngines';

const SENT = {
  in_use: 'docker',
  default: 'docker',
  engines: [
    { name: 'docker', kind: 'docker', address: '', allowed: true },
    { name: 'process', kind: 'process', address: '', allowed: false },
    { name: 'lab', kind: 'docker', address: 'ssh://lab', allowed: true }
  ]
};

describe('parseEngines', () => {
  it('keeps what is in use, what is usual, and what may be chosen', () => {
    const { inUse, usual, engines } = parseEngines(SENT);

    expect([inUse, usual]).toEqual(['docker', 'docker']);
    expect(engines[2]).toEqual({
      name: 'lab',
      kind: 'docker',
      address: 'ssh://lab',
      isAllowed: true
    });
  });

  it.each([
    [null],
    [{ ...SENT, engines: {} }],
    [{ ...SENT, engines: [{ name: 'x', kind: 'swarm' }] }]
  ])('refuses what it does not understand: %j', answer => {
    expect(() => parseEngines(answer)).toThrow(WireError);
  });

  it('knows the event, and no other', () => {
    const event = 'https://schema.jupyter-dlenv.org/engine/v1';

    expect(isEngineEvent({ schema_id: event, name: 'lab' })).toBe(true);
    expect(isEngineEvent({ schema_id: event.replace('ngine', '') })).toBe(
      false
    );
  });
});

describe('machineOf', () => {
  it.each([
    ['docker', '', ''],
    ['docker', 'ssh://me@gpu-box:22', 'gpu-box'],
    ['docker', 'tcp://[fd00::2]:2376', '[fd00::2]'],
    ['docker', 'unix:///docker.sock', ''],
    ['tcp://10.0.0.7:2376', 'tcp://10.0.0.7:2376', '10.0.0.7'],
    ['lab', 'ssh://10.0.0.7', 'lab']
  ])('calls the machine of %s (%s) %j', (name, address, machine) => {
    const offer = { name, address, isAllowed: true };

    expect(machineOf({ ...offer, kind: 'docker' })).toBe(machine);
  });
});

describe('EnginesModel', () => {
  const server = { inUse: 'docker', refuses: false };
  let model: EnginesModel;
  let switches: number;

  beforeEach(async () => {
    Object.assign(server, { inUse: 'docker', refuses: false });
    const answer = () => parseEngines({ ...SENT, in_use: server.inUse });
    model = new EnginesModel({
      engines: async () => answer(),
      useEngine: async name => {
        if (server.refuses) {
          throw new Error('No engine answers.');
        }
        server.inUse = name;
        return answer();
      }
    });
    switches = 0;
    model.switched.connect(() => (switches += 1));
    await model.refresh();
  });

  afterEach(() => model.dispose());

  it('offers what is allowed, and asks for nothing anew at first', () => {
    expect(model.offers.map(offer => offer.name)).toEqual(['docker', 'lab']);
    expect([model.inUse?.name, model.option]).toEqual(['docker', '']);
    expect(switches).toBe(0);
  });

  it('says once that another engine is in use, whoever chose it', async () => {
    await model.use('lab');
    // The event of the same change.
    await model.refresh();

    expect([model.inUse?.name, model.option]).toEqual(['lab', 'lab']);
    expect(model.elsewhere).toBe('lab');
    expect(switches).toBe(1);
    server.inUse = 'docker';
    await model.refresh();
    expect([switches, model.elsewhere]).toEqual([2, '']);
  });

  it('stays as it is when the server refuses', async () => {
    server.refuses = true;

    const using = model.use('lab');

    expect(model.isSwitching).toBe(true);
    await expect(using).rejects.toThrow('No engine answers.');
    expect([model.inUse?.name, model.isSwitching]).toEqual(['docker', false]);
    expect(switches).toBe(0);
  });
});
