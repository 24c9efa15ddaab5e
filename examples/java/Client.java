// What goes on from some letters, and what a search for the first of it finds: Client HOST:PORT [PREFIX] [USER]

import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import shopfuse.v1.CompletionOuterClass.CompleteQueryRequest;
import shopfuse.v1.CompletionOuterClass.Completion;
import shopfuse.v1.CompletionServiceGrpc;
import shopfuse.v1.Item.RankedItem;
import shopfuse.v1.Search.SearchRequest;
import shopfuse.v1.SearchServiceGrpc;

public final class Client {
    private static final long DEADLINE_MS = 1000; // the gateway answers within it from what it has by then

    public static void main(String[] arguments) throws InterruptedException {
        String prefix = arguments.length > 1 ? arguments[1] : "bo";
        String user = arguments.length > 2 ? arguments[2] : "";
        ManagedChannel channel =
                Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create()).build();
        int exitCode = 0;
        try {
            List<Completion> completions = complete(channel, prefix);
            completions.forEach(one -> System.out.printf("%s (%d items)%n", one.getText(), one.getItems()));
            String query = completions.isEmpty() ? prefix : completions.get(0).getText();
            System.out.printf("search '%s'%n", query);
            search(channel, query, user).forEach(item -> System.out.println(line(item)));
        } catch (StatusRuntimeException error) {
            System.err.println(error.getStatus().getCode() + ": " + error.getStatus().getDescription());
            exitCode = 1;
        } finally {
            channel.shutdownNow().awaitTermination(1, TimeUnit.SECONDS);
        }
        System.exit(exitCode);
    }

    private static List<Completion> complete(ManagedChannel channel, String prefix) {
        return CompletionServiceGrpc.newBlockingStub(channel)
                .withDeadlineAfter(DEADLINE_MS, TimeUnit.MILLISECONDS)
                .completeQuery(CompleteQueryRequest.newBuilder().setPrefix(prefix).setMaxCompletions(5).build())
                .getCompletionsList();
    }

    private static List<RankedItem> search(ManagedChannel channel, String query, String user) {
        return SearchServiceGrpc.newBlockingStub(channel)
                .withDeadlineAfter(DEADLINE_MS, TimeUnit.MILLISECONDS)
                .search(SearchRequest.newBuilder().setQuery(query).setUserId(user).setPageSize(5).build())
                .getItemsList();
    }

    private static String line(RankedItem item) {
        String price = item.hasPrice() ? String.format(Locale.ROOT, "%.2f", item.getPrice()) : "-";
        return String.join("  ", item.getItemId(), item.getTitle(), price);
    }
}
