import { EnginesModel } from '../engines';
import { GpusModel } from '../gpus';
import { LaunchModel } from '../launchModel';
import { type IProject, parseProject } from '../wireProject';

const MESSAGE = 'An environment needs an image.';

describe('LaunchModel', () => {
  const launched: unknown[] = [];
  const never = new Promise<never>(() => undefined);
  const ask = async (): Promise<never> => never;
  let model: LaunchModel;

  function open(
    fromProject: boolean,
    project: () => Promise<IProject | null> = ask
  ): LaunchModel {
    const missing = {
      code: 'spec-invalid',
      message: MESSAGE,
      hint: '',
      detail: '',
      field: 'image'
    };
    return new LaunchModel({
      api: {
        catalogue: async () => [],
        images: async () => [],
        project,
        tags: ask,
        sheet: ask,
        check: async request => ({
          spec: null,
          sshPort: 0,
          problems: request['image'] ? [] : [missing]
        }),
        launch: async request => {
          launched.push(request);
          return never;
        }
      },
      gpus: new GpusModel(ask),
      engines: new EnginesModel({ engines: ask, useEngine: ask }),
      taken: () => new Set(),
      last: { image: 'jax' },
      recent: [],
      directory: '',
      fromProject,
      remember: jest.fn()
    });
  }

  beforeEach(() => {
    launched.length = 0;
    model = open(false);
  });

  afterEach(() => model.dispose());

  it('launches what was chosen a moment ago, whatever was wrong before', async () => {
    model.update({ image: '' });
    await new Promise(resolve => setTimeout(resolve, 300));
    expect(model.obstacle?.message).toBe(MESSAGE);

    model.update({ image: 'python' });
    void model.launch();
    await new Promise(resolve => setTimeout(resolve, 0));

    expect(launched).toMatchObject([{ image: 'python' }]);
  });

  it.each([
    [true, 'bert'],
    [false, 'jax']
  ])(
    'begins with the project where that was asked for: %j',
    async (is, name) => {
      const answer = {
        project: { path: '/p/dlenv.toml', spec: { name: 'bert', image: 'x' } }
      };
      model.dispose();

      model = open(is, async () => parseProject(answer));
      await new Promise(resolve => setTimeout(resolve, 0));

      expect(model.choice.name).toBe(name);
    }
  );

  it('launches nothing while something is wrong with it', async () => {
    model.update({ image: '' });
    await new Promise(resolve => setTimeout(resolve, 300));
    model.update({ name: 'still-no-image' });

    await expect(model.launch()).resolves.toBeNull();

    expect([launched, model.obstacle?.message]).toEqual([[], MESSAGE]);
  });
});
