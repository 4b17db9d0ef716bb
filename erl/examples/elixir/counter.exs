# A GenServer with a name of the whole cluster, and a plain OTP node that finds it. run.sh starts it.

defmodule Counter do
  use GenServer

  @name {:via, :remora_registry, "counter"}

  def start_link(first), do: GenServer.start_link(__MODULE__, first, name: @name)
  def add(n), do: GenServer.call(@name, {:add, n})

  @impl true
  def init(first) do
    :ok = :remora_groups.join(:counters, self())
    {:ok, first}
  end

  @impl true
  def handle_call({:add, n}, _from, sum), do: {:reply, sum + n, sum + n}

  @impl true
  def handle_info(message, sum) do
    IO.puts("the counter was sent #{inspect(message)}")
    {:noreply, sum}
  end
end

# The companion first, then what uses it.
{:ok, _} = Supervisor.start_link([:remora.child_spec(%{}), {Counter, 40}], strategy: :rest_for_one)

IO.puts("Counter.add(2) is #{Counter.add(2)}")
{:error, {:already_started, pid}} = Counter.start_link(0)
{:ok, ^pid} = :remora_registry.whereis("counter")
IO.puts("a second one is refused")

# A node without Elixir and without remora.
{:ok, _, other} = :peer.start_link(%{name: :peer.random_name(), host: '127.0.0.1', args: ['-setcookie', '#{Node.get_cookie()}']})
:ok = :remora_cluster.connect(other)
:ok = :erpc.call(other, :global, :sync, [])
^pid = :erpc.call(other, :global, :whereis_name, ["counter"])
sum = :erpc.call(other, :gen_server, :call, [{:global, "counter"}, {:add, 100}])
IO.puts("a plain node, by global, adds 100: #{sum}")

{:ok, release} = :remora_rpc.call(other, :erlang, :system_info, [:otp_release])
{:error, {:undef, {:no_such, :function, 0}}} = :remora_rpc.call(other, :no_such, :function, [])
IO.puts("it has an OTP release: #{is_list(release)}")

{:ok, 1} = :remora_groups.broadcast(:counters, {:hello, "all"})
IO.puts("Counter.add(0) is #{Counter.add(0)}")
